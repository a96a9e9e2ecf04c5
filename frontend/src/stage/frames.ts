/** Pictures and label maps at hand: caches bounded in bytes, and the few requests that fill them. */

/** Values by key, dropped in order of last use when they exceed a number of bytes. */
export class Cache<Value> {
  readonly #limit: number;
  readonly #entries = new Map<string, { value: Value; bytes: number }>();
  readonly #dropped: (value: Value) => void;
  #bytes = 0;

  constructor(limit: number, dropped: (value: Value) => void = () => undefined) {
    this.#limit = limit;
    this.#dropped = dropped;
  }

  get bytes(): number {
    return this.#bytes;
  }

  has(key: string): boolean {
    return this.#entries.has(key);
  }

  get(key: string): Value | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return entry.value;
  }

  set(key: string, value: Value, bytes: number): void {
    this.delete(key);
    this.#entries.set(key, { value, bytes });
    this.#bytes += bytes;
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes <= this.#limit || oldest === key) break;
      this.delete(oldest);
    }
  }

  delete(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#bytes -= entry.bytes;
    this.#dropped(entry.value);
  }

  /** Drop all values whose key fulfils a condition. */
  deleteWhere(condition: (key: string) => boolean): void {
    for (const key of [...this.#entries.keys()]) if (condition(key)) this.delete(key);
  }
}

/** Something to be fetched: `load` puts it into a cache itself. */
export interface Want {
  key: string;
  load(signal: AbortSignal): Promise<void>;
}

const AT_ONCE = 4;
const PAUSE = 500; // milliseconds, before asking for more from a server in trouble

/** Keeps at most four requests under way: the first of those wanted that are neither here nor failed. */
export class Fetcher {
  readonly #under = new Map<string, AbortController>();
  readonly #failed = new Map<string, Error>();
  readonly #arrived: () => void;
  readonly #isPermanent: (error: Error) => boolean;
  #wants: readonly Want[] = [];

  /** @param arrived called after each arrival or failure.
   *  @param isPermanent whether asking again cannot help. */
  constructor(arrived: () => void, isPermanent: (error: Error) => boolean) {
    this.#arrived = arrived;
    this.#isPermanent = isPermanent;
  }

  /** Replace what is wanted, in order; requests for anything else are aborted unless in `kept`. */
  want(wants: readonly Want[], kept: ReadonlySet<string> = new Set()): void {
    this.#wants = wants;
    const wanted = new Set(wants.map((want) => want.key));
    for (const [key, controller] of this.#under) {
      if (wanted.has(key) || kept.has(key)) continue;
      this.#under.delete(key);
      controller.abort();
    }
    this.#start();
  }

  failure(key: string): Error | undefined {
    return this.#failed.get(key);
  }

  /** Forget failures of keys that begin so, so that what failed is asked for again. */
  forgive(beginning = ""): void {
    for (const key of [...this.#failed.keys()]) {
      if (key.startsWith(beginning)) this.#failed.delete(key);
    }
  }

  #start(): void {
    for (const want of this.#wants) {
      if (this.#under.size >= AT_ONCE) return;
      if (this.#under.has(want.key) || this.#failed.has(want.key)) continue;
      void this.#fetch(want);
    }
  }

  async #fetch(want: Want): Promise<void> {
    const controller = new AbortController();
    this.#under.set(want.key, controller);
    let failure: Error | null = null;
    try {
      await want.load(controller.signal);
    } catch (error) {
      failure = error as Error;
    }
    if (this.#under.get(want.key) !== controller) return;
    this.#under.delete(want.key);
    if (failure === null) this.#wants = this.#wants.filter((other) => other.key !== want.key);
    if (failure !== null && this.#isPermanent(failure)) this.#failed.set(want.key, failure);
    this.#arrived();
    if (failure === null || this.#isPermanent(failure)) this.#start();
    else setTimeout(() => this.#start(), PAUSE);
  }
}

/** Frames worth having, nearest first: `ahead` in the direction of travel, a few behind. */
export function around(frame: number, direction: 1 | -1, count: number, ahead: number): number[] {
  const frames = Array.from({ length: ahead }, (_, i) => frame + direction * (i + 1));
  frames.splice(4, 0, frame - direction);
  return frames.filter((other) => other >= 0 && other < count);
}
