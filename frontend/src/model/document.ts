/** Plain functions of the document: no requests, no signals. */
import type { DocumentInfo, ObjectInfo } from "./protocol";

export type SlotTable = Record<string, number[]>;

export function objectOf(document: DocumentInfo, slot: number | null): ObjectInfo | null {
  return document.objects.find((object) => object.slot === slot) ?? null;
}

/** The id and the name of an object; a name that nobody chose has the id in it. */
export function titleOf({ id, name }: ObjectInfo): string {
  return name === `object ${id}` ? name : `${id} ${name}`;
}

/** How an object's id changes on a frame, as text; null if it does not. */
export function changesOf(document: DocumentInfo, frame: number, slot: number): string | null {
  const change = document.renames.find(([at, , slots]) => at === frame && slots.includes(slot));
  if (change === undefined) return null;
  const ids = change[2].map((other) => objectOf(document, other)?.id ?? other);
  return change[1] === "swap"
    ? `${ids.join(" and ")} swapped from here on`
    : `${ids.slice(1).join(", ")} is part of ${ids[0]} from here on`;
}

/** Slots that were marked on a frame: with a mask, or as absent. */
export function markedOn(document: DocumentInfo, frame: number): number[] {
  return [...(document.prompts[frame] ?? []), ...(document.absent[frame] ?? [])];
}

/** Frames with a mark of a slot (null: of any object), in order. */
export function markedFrames(document: DocumentInfo, slot: number | null): number[] {
  const frames = new Set<number>();
  for (const table of [document.prompts, document.absent]) {
    for (const [frame, slots] of Object.entries(table)) {
      if (slot === null ? slots.length > 0 : slots.includes(slot)) frames.add(Number(frame));
    }
  }
  return [...frames].sort((a, b) => a - b);
}

/** The nearest of sorted frames after `frame` (direction 1) or before it (-1); null if none. */
export function nextOf(sorted: readonly number[], frame: number, direction: 1 | -1): number | null {
  const beyond = sorted.filter((other) => (other - frame) * direction > 0);
  return (direction === 1 ? beyond[0] : beyond.at(-1)) ?? null;
}

/** Whether a slot has a mask on an earlier frame, so that it can be absent on this one. */
export function knownBefore(document: DocumentInfo, slot: number, frame: number): boolean {
  return Object.entries(document.prompts).some(
    ([other, slots]) => Number(other) < frame && slots.includes(slot),
  );
}

/**
 * The masks that a frame shows: what was found, and on top of it what was marked.
 *
 * An object that was marked shows its mark alone, so its found pixels go first.
 */
export function compose(
  found: Uint8Array | null,
  marks: Uint8Array | null,
  marked: readonly number[],
  pixels: number,
): Uint8Array<ArrayBuffer> {
  const shown = new Uint8Array(pixels);
  if (found !== null) shown.set(found);
  if (marked.length > 0 && found !== null) {
    const gone = new Uint8Array(256);
    for (const slot of marked) gone[slot] = 1;
    for (let i = 0; i < pixels; i++) if (gone[shown[i]] === 1) shown[i] = 0;
  }
  if (marks !== null) for (let i = 0; i < pixels; i++) if (marks[i] !== 0) shown[i] = marks[i];
  return shown;
}

/** The pixels of these slots alone; all others become background. */
export function only(labels: Uint8Array, slots: readonly number[]): Uint8Array<ArrayBuffer> {
  const kept = new Uint8Array(256);
  for (const slot of slots) kept[slot] = slot;
  const out = new Uint8Array(labels.length);
  for (let i = 0; i < labels.length; i++) out[i] = kept[labels[i]];
  return out;
}

/** The document as it will be once the server has taken up this mark. */
export function withMark(
  document: DocumentInfo,
  frame: number,
  slots: readonly number[],
  pixels: Uint8Array,
): Pick<DocumentInfo, "prompts" | "absent"> {
  const present = new Uint8Array(256);
  for (const value of pixels) present[value] = 1;
  const masked = slots.filter((slot) => present[slot] === 1);
  const gone = slots.filter((slot) => present[slot] === 0 && knownBefore(document, slot, frame));
  return {
    prompts: replaced(document.prompts, frame, slots, masked),
    absent: replaced(document.absent, frame, slots, gone),
  };
}

function replaced(
  table: SlotTable,
  frame: number,
  dropped: readonly number[],
  added: readonly number[],
): SlotTable {
  const kept = (table[frame] ?? []).filter((slot) => !dropped.includes(slot));
  const { [String(frame)]: _, ...others } = table;
  const slots = [...kept, ...added].sort((a, b) => a - b);
  return slots.length > 0 ? { ...others, [frame]: slots } : others;
}
