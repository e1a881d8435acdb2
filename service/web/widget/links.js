const LENGTH = 220;
const LEAD = 60;
const WORDS = 6;

/**
 * A link that is safe to follow, or "": only http, https and relative addresses.
 *
 * @param {string | null | undefined} url
 * @param {string} base
 */
export function safeUrl(url, base) {
  if (!url || !URL.canParse(url, base)) return "";
  const parsed = new URL(url, base);
  return /^https?:$/u.test(parsed.protocol) ? parsed.href : "";
}

/**
 * The address with a text fragment (https://wicg.github.io/scroll-to-text-fragment/) for the first words that matched:
 * the browser scrolls to them and marks them. A page that has not these words in one piece opens at the anchor.
 *
 * @param {string} href
 * @param {string[]} points the code points of the result's text
 * @param {{start: number, end: number}[]} highlights
 */
export function withFragment(href, points, highlights) {
  const phrase = phraseAt(points, highlights[0]);
  if (!href || !phrase) return href;
  const encoded = encodeURIComponent(phrase).replaceAll("-", "%2D");
  return `${href}${href.includes("#") ? "" : "#"}:~:text=${encoded}`;
}

/**
 * A few words from the start of a highlight, up to the end of the line or the next sign of markup.
 *
 * @param {string[]} points
 * @param {{start: number, end: number} | undefined} span
 */
function phraseAt(points, span) {
  if (!span) return "";
  const rest = points.slice(span.start, span.start + 160).join("");
  const plain = rest.split(/[\n`*_[\]()<>#|\\~{}]/u)[0];
  const cut = plain.length === rest.length ? plain.replace(/\S*$/u, "") : plain;
  const phrase = (cut.trim() || points.slice(span.start, span.end).join("")).split(/\s+/u).slice(0, WORDS).join(" ");
  return phrase.replace(/[\s.,;:!?]+$/u, "");
}

/**
 * The text to show for Markdown, of the same length in code points: no fences, no rules of tables, no signs at the beginnings of lines.
 *
 * @param {string} text
 */
export function plain(text) {
  const blank = (/** @type {string} */ part) => part.replace(/./gsu, " ");
  return text
    .replace(/^[`~]{3}.*|^[ |:-]{3,}$|^#+ /gmu, blank)
    .replace(/^[|].*[|]$/gmu, (row) => row.replaceAll("|", "·").replace(/^·|·$/gu, " "))
    .replace(/^( *)[*-] /gmu, "$1• ");
}

/**
 * The part of a text to show: around the first highlight, cut at spaces. Offsets count code points, as the service does.
 *
 * @param {string[]} points
 * @param {{start: number, end: number}[]} highlights
 */
export function excerpt(points, highlights) {
  if (points.length <= LENGTH) return { start: 0, end: points.length };
  const first = highlights[0]?.start ?? 0;
  let start = Math.min(points.length - LENGTH, Math.max(0, first - LEAD));
  if (start < LEAD / 2) start = 0;
  let end = Math.min(points.length, start + LENGTH);
  while (start > 0 && start < first && !/\s/u.test(points[start - 1])) start += 1;
  for (let back = 0; end < points.length && back < LEAD && !/\s/u.test(points[end]); back += 1) end -= 1;
  return { start, end };
}
