"use strict";
/** @import {Answer} from "./types.js" */

const QUICKEST = 150;
const SLOWEST = 1500;

/**
 * Decides when a search is sent and which answer counts: a pause in typing starts one, a newer one aborts the older,
 * and an answer that was overtaken is dropped. The pause grows to what the backend takes, so that a slow model is not
 * called for every key.
 */
export class Searcher {
  /**
   * @param {object} hooks
   * @param {(signal: AbortSignal) => Promise<Answer>} hooks.send
   * @param {() => void} hooks.started
   * @param {(answer: Answer) => void} hooks.answered
   * @param {(error: unknown) => void} hooks.failed
   */
  constructor(hooks) {
    this.hooks = hooks;
    this.pause = QUICKEST;
    this.turn = 0;
    this.began = 0;
    /** @type {AbortController | null} */
    this.running = null;
    /** @type {number | undefined} */
    this.timer = undefined;
  }

  /** Search when typing pauses. */
  soon() {
    clearTimeout(this.timer);
    if (this.running) this.learn(Math.max(this.pause, performance.now() - this.began)); // it takes at least this long
    this.timer = setTimeout(() => this.now(), this.pause);
  }

  /** Cancel the planned and the running search. */
  cancel() {
    clearTimeout(this.timer);
    this.turn += 1;
    this.running?.abort();
    this.running = null;
  }

  /** Search at once. */
  async now() {
    this.cancel();
    const turn = this.turn;
    this.running = new AbortController();
    this.began = performance.now();
    this.hooks.started();
    try {
      const answer = await this.hooks.send(this.running.signal);
      if (turn !== this.turn) return;
      this.learn(performance.now() - this.began);
      this.running = null;
      this.hooks.answered(answer);
    } catch (error) {
      if (turn !== this.turn) return;
      this.running = null;
      this.hooks.failed(error);
    }
  }

  /** @param {number} ms how long the backend takes */
  learn(ms) {
    this.pause = Math.min(SLOWEST, Math.max(QUICKEST, ms));
  }
}
