/**
 * Edits on their way to the server: one after the other, each with the revision it was made for.
 *
 * An edit is never given up because of the disk or the connection: it is sent again until the
 * server has it. Any other refusal is the caller's to show.
 */
import { signal } from "@preact/signals";
import { ApiError } from "./api";

export type SavingState = "saved" | "saving" | "disk full" | "lost";

/** Sends an edit made for a revision; resolves when it is on disk. */
export type Send<Answer> = (revision: number) => Promise<Answer>;

export interface EditOptions {
  /** Gives the revision at the time of sending. */
  revision(): number;
  /** Waits so many milliseconds. */
  wait(milliseconds: number): Promise<void>;
}

const AGAIN = { "disk full": 5000, lost: 1000 } as const;

export class EditQueue<Answer> {
  readonly state = signal<SavingState>("saved");
  readonly #options: EditOptions;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(options: EditOptions) {
    this.#options = options;
  }

  get idle(): boolean {
    return this.#waiting === 0;
  }

  /** Resolves when all edits given so far are answered. */
  async settled(): Promise<void> {
    while (!this.idle) await this.#last;
  }

  /** Send an edit after those given before; `taken` is called before the next one is sent. */
  run(send: Send<Answer>, taken: (answer: Answer) => void): Promise<void> {
    this.#waiting++;
    this.state.value = this.state.value === "saved" ? "saving" : this.state.value;
    const result = this.#last.then(() => this.#persist(send)).then(taken);
    this.#last = result
      .catch(() => undefined)
      .then(() => {
        this.#waiting--;
        if (this.idle) this.state.value = "saved";
      });
    return result;
  }

  async #persist(send: Send<Answer>): Promise<Answer> {
    for (;;) {
      try {
        const answer = await send(this.#options.revision());
        this.state.value = "saving";
        return answer;
      } catch (error) {
        const trouble = troubleOf(error);
        if (trouble === null) throw error;
        this.state.value = trouble;
        await this.#options.wait(AGAIN[trouble]);
      }
    }
  }
}

function troubleOf(error: unknown): "disk full" | "lost" | null {
  if (!(error instanceof ApiError)) return null;
  if (error.unreachable) return "lost";
  return error.status === 507 ? "disk full" : null;
}
