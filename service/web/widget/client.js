const QUICKEST = 250;
const SLOWEST = 1500;

/** Why no answer came. `kind` names the text that is shown; `wait` is in seconds, 0 where the service says nothing. */
export class Refusal extends Error {
  /**
   * @param {string} kind offline, unreachable, token or failed
   * @param {{status?: number, title?: string, detail?: string, code?: string, request_id?: string}} [problem] RFC 9457
   * @param {number} [wait]
   */
  constructor(kind, problem = {}, wait = 0) {
    super(problem.detail || problem.title || kind);
    this.kind = kind;
    this.problem = problem;
    this.wait = wait;
  }
}

/** @type {Record<number, string>} */
const KINDS = { 401: "token", 403: "token" };

/** @param {Response} response */
async function refusalOf(response) {
  const wait = Math.ceil(Number(response.headers.get("retry-after"))) || 0;
  const problem = await response.json().catch(() => ({}));
  const id = response.headers.get("x-request-id") ?? "";
  const kind = KINDS[response.status] ?? "failed";
  return new Refusal(kind, { request_id: id, ...problem, status: response.status }, wait);
}

/**
 * Ask the service; the answer's JSON, or a `Refusal`.
 *
 * @param {string} url
 * @param {string} token sent as a bearer, if there is one
 * @param {AbortSignal | null} signal
 * @param {object} [body] of a POST; without one it is a GET
 */
export async function send(url, token, signal, body) {
  const headers = { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) };
  const posted = body && { method: "POST", body: JSON.stringify(body) };
  let response;
  try {
    response = await fetch(url, { headers, signal, ...posted });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Refusal(navigator.onLine ? "unreachable" : "offline");
  }
  if (!response.ok) throw await refusalOf(response);
  try {
    return await response.json();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Refusal("failed", { status: response.status, title: "The answer is not JSON" });
  }
}

/**
 * Decides when a search is sent and which answer counts. Two speeds: names for every key, at once and without a model;
 * the full search when typing pauses. A newer query aborts what an older one asked, and an overtaken answer is dropped.
 * The pause grows to what the full search takes, so that a slow model is not called for every key.
 */
export class Asker {
  /**
   * @param {object} hooks
   * @param {(signal: AbortSignal) => Promise<any> | null} hooks.instant null where there is no instant search
   * @param {(signal: AbortSignal) => Promise<any>} hooks.full
   * @param {(answer: any) => void} hooks.answered
   * @param {(error: unknown) => void} hooks.failed of the full search; the instant one may fail
   * @param {(busy: boolean) => void} hooks.busy
   */
  constructor(hooks) {
    this.hooks = hooks;
    this.pause = QUICKEST;
    this.began = 0;
    /** @type {AbortController | null} */
    this.typing = null;
    /** @type {AbortController | null} */
    this.running = null;
    /** @type {number | undefined} */
    this.timer = undefined;
  }

  /** A key was typed. */
  type() {
    if (this.running && this.began) this.learn(Math.max(this.pause, performance.now() - this.began));
    this.stop();
    const typing = (this.typing = new AbortController());
    this.timer = setTimeout(() => this.now(), this.pause);
    this.hooks.instant(typing.signal)?.then(
      (answer) => typing === this.typing && this.hooks.answered(answer),
      (error) => typing === this.typing && error.kind === "token" && this.hooks.failed(error), // else the full search says what is wrong
    );
  }

  /** Ask for the full search at once. */
  async now() {
    clearTimeout(this.timer);
    this.running?.abort();
    const running = (this.running = new AbortController());
    this.began = performance.now();
    this.hooks.busy(true);
    try {
      const answer = await this.hooks.full(running.signal);
      if (running !== this.running) return;
      this.learn(performance.now() - this.began);
      this.done();
      this.hooks.answered(answer);
    } catch (error) {
      if (running !== this.running) return;
      this.done();
      this.hooks.failed(error);
    }
  }

  /** Drop what is planned and abort what is running. */
  stop() {
    clearTimeout(this.timer);
    this.running?.abort();
    this.done();
  }

  done() {
    this.typing?.abort();
    this.typing = this.running = null;
    this.began = 0;
    this.hooks.busy(false);
  }

  /** @param {number} ms how long the service takes */
  learn(ms) {
    this.pause = Math.min(SLOWEST, Math.max(QUICKEST, ms));
  }
}
