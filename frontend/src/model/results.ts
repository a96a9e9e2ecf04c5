/** What has been computed: the version of each frame's masks, and areas and confidences over time. */
import { signal } from "@preact/signals";
import { float32Of, int32Of } from "./base64";
import type { EncodedTrack, StampSpan } from "./protocol";

export type Stamp = string | number;

export interface Track {
  /** Pixels in each frame; -1 where nothing was computed, 0 where the object is absent. */
  area: Int32Array;
  /** 0..1; NaN where the object is absent. */
  confidence: Float32Array;
}

export class Results {
  /** Changes with every change of the fields below. */
  readonly version = signal(0);
  readonly tracks = new Map<number, Track>();
  #stamps: (Stamp | null)[] = [];
  #done = 0;

  /** Begin a clip of so many frames. */
  reset(count: number, spans: readonly StampSpan[]): void {
    this.tracks.clear();
    this.setStamps(count, spans);
  }

  setStamps(count: number, spans: readonly StampSpan[]): void {
    this.#stamps = new Array<Stamp | null>(count).fill(null);
    for (const [from, to, stamp] of spans) this.#stamps.fill(stamp, from, to + 1);
    this.#changed();
  }

  /** The version of a frame's masks; null if it has none. */
  stampOf(frame: number): Stamp | null {
    return this.#stamps[frame] ?? null;
  }

  /** Number of frames with masks. */
  get done(): number {
    return this.#done;
  }

  /** Whether all frames of a span have masks. */
  covers(from: number, to: number): boolean {
    for (let frame = from; frame <= to; frame++) if (this.stampOf(frame) === null) return false;
    return true;
  }

  /** Take up masks of frames `from..to`; a stamp of null means that they are gone. */
  update(
    from: number,
    to: number,
    stamp: Stamp | null,
    tracks: Readonly<Record<string, EncodedTrack>>,
  ): void {
    this.#stamps.fill(stamp, from, to + 1);
    for (const track of this.tracks.values()) {
      track.area.fill(stamp === null ? -1 : 0, from, to + 1);
      track.confidence.fill(Number.NaN, from, to + 1);
    }
    for (const [slot, encoded] of Object.entries(tracks)) {
      const track = this.#track(Number(slot));
      track.area.set(int32Of(encoded.area).subarray(0, to - from + 1), from);
      track.confidence.set(float32Of(encoded.confidence).subarray(0, to - from + 1), from);
    }
    this.#changed();
  }

  /** Replace all tracks. */
  setTracks(slots: Readonly<Record<string, EncodedTrack>>): void {
    this.tracks.clear();
    for (const [slot, encoded] of Object.entries(slots)) {
      this.tracks.set(Number(slot), {
        area: int32Of(encoded.area),
        confidence: float32Of(encoded.confidence),
      });
    }
    this.#changed();
  }

  #track(slot: number): Track {
    let track = this.tracks.get(slot);
    if (track === undefined) {
      track = {
        area: new Int32Array(this.#stamps.length).fill(-1),
        confidence: new Float32Array(this.#stamps.length).fill(Number.NaN),
      };
      this.tracks.set(slot, track);
    }
    return track;
  }

  #changed(): void {
    this.#done = this.#stamps.reduce<number>((sum, stamp) => sum + (stamp === null ? 0 : 1), 0);
    this.version.value = this.version.peek() + 1;
  }
}
