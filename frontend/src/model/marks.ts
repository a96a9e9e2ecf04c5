/** Masks given by a person, as far as this page knows them: by frame, with a version for each change. */
import { signal } from "@preact/signals";
import { Cache } from "../stage/frames";
import type { LabelMap } from "./png";

const LIMIT = 32 * 2 ** 20; // bytes

export class Marks {
  /** Changes when marks change other than by painting on this page. */
  readonly version = signal(0);
  readonly #known = new Cache<LabelMap | null>(LIMIT);

  /** undefined: not known here. null: nothing was marked. */
  of(frame: number): LabelMap | null | undefined {
    return this.#known.get(String(frame));
  }

  put(frame: number, marks: LabelMap | null): void {
    this.#known.set(String(frame), marks, marks?.data.length ?? 1);
  }

  /** Forget what is known of frames, or of all (null): the server knows better. */
  forget(frames: readonly number[] | null): void {
    if (frames === null) this.#known.deleteWhere(() => true);
    else for (const frame of frames) this.#known.delete(String(frame));
    this.version.value = this.version.peek() + 1;
  }
}
