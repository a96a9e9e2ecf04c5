/** The server's stream of events: one JSON value per line, read with fetch, opened again by itself. */
import type { Api } from "./api";
import type { ServerEvent } from "./protocol";

const FIRST_PAUSE = 500; // milliseconds
const LONGEST_PAUSE = 8000;
const SILENCE = 25_000; // two and a half beats

export interface EventHandler {
  onEvent(event: ServerEvent): void;
  /** The stream is open; `again` if it was open before. */
  onOpen(again: boolean): void;
}

/** Split a stream of bytes into the JSON values on its lines. */
export async function* linesOf(
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<ServerEvent, void, void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of chunks) {
    rest += decoder.decode(chunk, { stream: true });
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line.trim() !== "") yield JSON.parse(line) as ServerEvent;
  }
}

/** Milliseconds to wait before the next try, after `failures` tries in a row without success. */
export function pauseAfter(failures: number): number {
  return Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** Math.max(0, failures - 1));
}

async function* chunksOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    reader.releaseLock();
  }
}

export class EventStream {
  readonly #api: Api;
  readonly #handler: EventHandler;
  #sequence: number | null = null;
  #opened = false;
  #abort: AbortController | null = null;
  #silence = 0;

  constructor(api: Api, handler: EventHandler) {
    this.#api = api;
    this.#handler = handler;
  }

  /**
   * Read events for ever.
   *
   * @param after number of the last event that the page knows the effects of; null if it knows
   *   nothing yet. Older events are about what is over, and must not be taken up.
   */
  async run(after: number | null): Promise<void> {
    this.#sequence = after;
    for (let failures = 0; ; failures++) {
      try {
        await this.#read(() => {
          failures = 0;
        });
      } catch {
        // The next try tells more; the page shows that the server is away.
      }
      await new Promise((resolve) => setTimeout(resolve, pauseAfter(failures + 1)));
    }
  }

  async #read(onOpen: () => void): Promise<void> {
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    const query = this.#sequence === null ? "" : `?after=${this.#sequence}`;
    const response = await this.#api.send(`/api/events${query}`, { signal });
    if (response.body === null) return;
    onOpen();
    this.#handler.onOpen(this.#opened);
    this.#opened = true;
    this.#listen();
    for await (const event of linesOf(chunksOf(response.body))) {
      this.#listen();
      this.#note(event);
      this.#handler.onEvent(event);
    }
  }

  #note({ type, seq }: ServerEvent): void {
    // The greeting has the newest number, before the events that were missed; a lower number than
    // those known is one of a server that was started anew.
    const missed = type === "hello" && this.#sequence !== null && seq >= this.#sequence;
    if (!missed) this.#sequence = seq;
  }

  /** A server that was frozen or unplugged sends nothing: give up after some silence. */
  #listen(): void {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#abort?.abort(), SILENCE) as unknown as number;
  }
}
