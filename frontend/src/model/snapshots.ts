/**
 * Answers that hold a whole state, in order with the stream of events.
 *
 * Each names the last event whose effects it contains. Events that are newer may reach the page
 * before the answer, which would undo them, so they are taken up again after it. Of two answers
 * on their way, the older one may come last; it is left out.
 */
import type { ServerEvent } from "./protocol";

/** Something whose effects are known up to an event. */
export interface Numbered {
  seq: number;
}

export class Snapshots {
  readonly #again: (event: ServerEvent) => void;
  readonly #newest = new Map<string, number>();
  #pending = 0;
  #events: ServerEvent[] = [];

  /** @param again takes up an event a second time, without telling the person anything. */
  constructor(again: (event: ServerEvent) => void) {
    this.#again = again;
  }

  /** An event has come. */
  note(event: ServerEvent): void {
    if (this.#pending > 0) this.#events.push(event);
  }

  /** The server may be another one, which counts anew. */
  forget(): void {
    this.#newest.clear();
    this.#events = [];
  }

  /**
   * Ask for a state and take it, unless a newer one was taken meanwhile.
   *
   * @param kind what it is the state of.
   * @param ask sends the request; null: there is no such state.
   * @param take takes the answer up.
   */
  async load<Answer extends Numbered>(
    kind: string,
    ask: () => Promise<Answer | null>,
    take: (answer: Answer) => void,
  ): Promise<void> {
    this.#pending++;
    try {
      const answer = await ask();
      if (answer === null || answer.seq < (this.#newest.get(kind) ?? 0)) return;
      this.#newest.set(kind, answer.seq);
      take(answer);
      for (const event of this.#events) if (event.seq > answer.seq) this.#again(event);
    } finally {
      this.#pending--;
      if (this.#pending === 0) this.#events = [];
    }
  }
}
