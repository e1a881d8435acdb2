"use strict";

/**
 * Charts as SVG. Each has a text alternative; what it shows is beside it as a table.
 *
 * @typedef {{value: number, kind: string}} Part what is stacked, from the bottom up; `kind` is its class
 * @typedef {{name: string, title: string, parts: Part[]}} Bar `title` appears on hover
 */

const NAMESPACE = "http://www.w3.org/2000/svg";
const HEIGHT = 190;
const TOP = 8;
const BOTTOM = 24;
const LEFT = 44;
const WIDEST_BAR = 48;
const CHARACTER = 7;
const ROW = 44;

/**
 * Columns over an axis of names.
 *
 * @param {string} label the text alternative
 * @param {Bar[]} bars
 * @param {number} width in pixels
 */
export function columns(label, bars, width) {
  const ticks = ticksTo(Math.max(...bars.map(total)));
  const most = ticks[ticks.length - 1];
  const y = (/** @type {number} */ value) => TOP + (1 - value / most) * (HEIGHT - TOP - BOTTOM);
  const step = (width - LEFT) / bars.length;
  const thick = Math.max(1, Math.min(WIDEST_BAR, step * 0.78));
  const every = Math.ceil((Math.max(...bars.map(({ name }) => name.length)) * CHARACTER + 10) / step);
  return picture(
    label,
    width,
    HEIGHT,
    ...ticks.flatMap((tick) => [
      shape("line", { class: "grid", x1: LEFT, x2: width, y1: y(tick), y2: y(tick) }),
      words(tick.toLocaleString("en"), { x: LEFT - 8, y: y(tick) + 4, "text-anchor": "end" }),
    ]),
    ...bars.map((bar, at) => {
      const middle = LEFT + step * (at + 0.5);
      const stack = pile(bar.parts, (from, to, kind) => {
        return shape("rect", { class: kind, x: middle - thick / 2, y: y(to), width: thick, height: y(from) - y(to) });
      });
      const area = shape("rect", { class: "area", x: middle - step / 2, y: TOP, width: step, height: HEIGHT - TOP - BOTTOM });
      const name = (bars.length - 1 - at) % every === 0 && words(bar.name, { x: middle, y: HEIGHT - 6, "text-anchor": "middle" });
      return shape("g", {}, shape("title", {}, bar.title), area, ...stack, ...(name ? [name] : []));
    }),
  );
}

/**
 * Rows with their names above them; of each row the parts begin where the one before ends.
 *
 * @param {string} label the text alternative
 * @param {Bar[]} bars
 * @param {number} width in pixels
 * @param {(value: number) => string} spell a value on the axis
 */
export function rows(label, bars, width, spell) {
  const ticks = ticksTo(Math.max(...bars.map(total)));
  const most = ticks[ticks.length - 1];
  const x = (/** @type {number} */ value) => 1 + (value / most) * (width - LEFT);
  const height = bars.length * ROW + BOTTOM;
  return picture(
    label,
    width,
    height,
    ...ticks.flatMap((tick) => [
      shape("line", { class: "grid", x1: x(tick), x2: x(tick), y1: 0, y2: height - BOTTOM }),
      words(spell(tick), { x: x(tick), y: height - 6, "text-anchor": tick ? "middle" : "start" }),
    ]),
    ...bars.map((bar, at) => {
      const stack = pile(bar.parts, (from, to, kind) => {
        return shape("rect", { class: kind, x: x(from), y: at * ROW + 20, width: x(to) - x(from), height: 16 });
      });
      const name = words(bar.name, { x: x(0), y: at * ROW + 14, class: "name" });
      return shape("g", {}, shape("title", {}, bar.title), name, ...stack);
    }),
  );
}

/** @param {Bar} bar */
function total(bar) {
  return bar.parts.reduce((sum, part) => sum + part.value, 0);
}

/**
 * @param {Part[]} parts
 * @param {(from: number, to: number, kind: string) => SVGElement} draw
 */
function pile(parts, draw) {
  let from = 0;
  return parts.flatMap(({ value, kind }) => {
    const to = from + value;
    const drawn = value > 0 ? [draw(from, to, kind)] : [];
    from = to;
    return drawn;
  });
}

/**
 * Round numbers from 0 to `most` or a little beyond, at most five steps, whole ones where that is enough.
 *
 * @param {number} most
 */
export function ticksTo(most) {
  if (!(most > 0)) return [0, 1];
  const power = 10 ** Math.floor(Math.log10(most / 4));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((one) => one * 5 >= most) ?? most;
  const ticks = [0];
  while (ticks[ticks.length - 1] < most) ticks.push(ticks.length * step);
  return most >= 1 && step < 1 ? [0, ...range(1, Math.ceil(most))] : ticks;
}

/**
 * @param {number} from
 * @param {number} to included
 */
function range(from, to) {
  return Array.from({ length: to - from + 1 }, (_, at) => from + at);
}

/**
 * @param {string} label
 * @param {number} width
 * @param {number} height
 * @param {...SVGElement} children
 */
function picture(label, width, height, ...children) {
  const box = { viewBox: `0 0 ${width} ${height}`, width, height };
  return shape("svg", { class: "picture", role: "img", "aria-label": label, ...box }, ...children);
}

/**
 * @param {string} text
 * @param {Record<string, string | number>} attributes
 */
function words(text, attributes) {
  return shape("text", attributes, text);
}

/**
 * @param {string} tag
 * @param {Record<string, string | number>} attributes
 * @param {...(Node | string)} children
 */
function shape(tag, attributes, ...children) {
  const element = document.createElementNS(NAMESPACE, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}
