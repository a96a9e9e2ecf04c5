/** What a person looks at and works with; kept for this tab, so that loading again changes nothing. */
import { effect, type Signal, signal } from "@preact/signals";
import type { View } from "../stage/view";
import type { Direction } from "./protocol";

export type ToolName = "move" | "brush" | "eraser" | "polygon" | "box";

/** How far the big button tracks. */
export type TrackChoice = "end" | "next" | "mark" | "out" | "backward" | "both";

export interface TimeWindow {
  from: number;
  /** Frames in sight. */
  length: number;
}

export const SMALLEST_BRUSH = 1;
export const LARGEST_BRUSH = 400;

export class Look {
  readonly frame = signal(0);
  /** Direction of the last move through time. */
  readonly direction = signal<1 | -1>(1);
  readonly playing = signal(false);
  readonly follow = signal(false);
  readonly slot = signal<number | null>(null);
  readonly tool = signal<ToolName>("brush");
  /** Diameter in pixels of the video. */
  readonly brush = signal(24);
  /** Index into TINTS. */
  readonly tint = signal(1);
  readonly masksHidden = signal(false);
  readonly hidden = signal<ReadonlySet<number>>(new Set());
  readonly inPoint = signal<number | null>(null);
  readonly outPoint = signal<number | null>(null);
  /** null: the whole video, fitted into the stage. */
  readonly view = signal<View | null>(null);
  /** null: all frames. */
  readonly window = signal<TimeWindow | null>(null);
  readonly trackChoice = signal<TrackChoice>("end");
  readonly resumeAfterEdits = signal(true);
  readonly keysOn = signal(true);
  #key = "";
  #stop: () => void = () => undefined;

  /** Begin to look at a project: as it was left in this tab, or from its first frame. */
  begin(key: string, count: number): void {
    if (this.#key === key) return;
    this.#stop();
    this.#key = key;
    this.#reset();
    this.#restore(count);
    this.#stop = effect(() => this.#save());
  }

  setBrush(diameter: number): void {
    this.brush.value = Math.min(LARGEST_BRUSH, Math.max(SMALLEST_BRUSH, Math.round(diameter)));
  }

  toggleHidden(slot: number): void {
    const hidden = new Set(this.hidden.value);
    if (!hidden.delete(slot)) hidden.add(slot);
    this.hidden.value = hidden;
  }

  #reset(): void {
    this.frame.value = 0;
    this.playing.value = false;
    this.slot.value = null;
    this.hidden.value = new Set();
    this.inPoint.value = null;
    this.outPoint.value = null;
    this.view.value = null;
    this.window.value = null;
  }

  #kept(): Record<string, Signal<unknown>> {
    const { frame, slot, tool, brush, tint, inPoint, outPoint, view, window, trackChoice } = this;
    const { resumeAfterEdits, keysOn } = this;
    return {
      ...{ frame, slot, tool, brush, tint, inPoint, outPoint, view, window, trackChoice },
      ...{ resumeAfterEdits, keysOn },
    } as Record<string, Signal<unknown>>;
  }

  #save(): void {
    const values = Object.entries(this.#kept()).map(([name, kept]) => [name, kept.value]);
    const hidden = [...this.hidden.value];
    const text = JSON.stringify({ ...Object.fromEntries(values), hidden });
    sessionStorage.setItem(`look ${this.#key}`, text);
  }

  #restore(count: number): void {
    const text = sessionStorage.getItem(`look ${this.#key}`);
    if (text === null) return;
    const { hidden, ...values } = JSON.parse(text) as Record<string, unknown>;
    for (const [name, kept] of Object.entries(this.#kept())) {
      if (name in values) kept.value = values[name];
    }
    this.hidden.value = new Set(hidden as number[]);
    this.frame.value = Math.min(count - 1, Math.max(0, this.frame.value));
  }
}

/** The first and last frame that a choice of the track menu computes. */
export function reachOf(
  choice: TrackChoice,
  at: { frame: number; outPoint: number | null; nextMark: number | null; last: number },
): { direction: Direction; until?: number } | null {
  switch (choice) {
    case "end":
      return { direction: "forward" };
    case "next":
      return { direction: "forward", until: Math.min(at.last, at.frame + 25) };
    case "mark":
      return at.nextMark === null ? null : { direction: "forward", until: at.nextMark };
    case "out":
      return at.outPoint === null ? null : { direction: "forward", until: at.outPoint };
    case "backward":
      return { direction: "backward" };
    case "both":
      return { direction: "both" };
  }
}
