/** Changes that a person makes; the page shows them before the server has answered. */
import { PALETTE } from "../stage/palette";
import { newlyAbsent, offerEnds } from "./absence";
import { only, withMark } from "./document";
import type { Session } from "./session";

const MOST_OBJECTS = 254;

/** Make pixels of a frame the marks of `slots`; `labels` is all that the frame shows. */
export function mark(
  session: Session,
  { frame, slots, did }: { frame: number; slots: readonly number[]; did: string },
  labels: Uint8Array<ArrayBuffer>,
): void {
  const project = session.project.value;
  if (project === null || slots.length === 0) return;
  const document = withMark(project, frame, slots, labels);
  const { width, height } = project.video;
  const marks = only(labels, document.prompts[frame] ?? []);
  session.marks.put(frame, { width, height, data: marks });
  session.project.value = { ...project, ...document };
  offerEnds(session, frame, newlyAbsent(project, document, frame));
  const pixels = labels.slice();
  void session.edit((revision) => session.api.mark(revision, { frame, slots, did }, pixels));
}

/** Add an object and choose it; its slot is known before the server answers. */
export function addObject(session: Session): number | null {
  const project = session.project.value;
  if (project === null) return null;
  const highest = Math.max(0, ...project.objects.map((object) => object.slot));
  const free = project.next_slot ?? highest + 1;
  if (free > MOST_OBJECTS) {
    session.toasts.error(`A project holds at most ${MOST_OBJECTS} objects.`);
    return null;
  }
  const colour = PALETTE[(free - 1) % PALETTE.length];
  const added = { slot: free, id: free, name: `object ${free}`, colour, locked: false };
  const objects = [...project.objects, added];
  session.project.value = { ...project, objects, next_slot: free + 1 };
  session.look.slot.value = free;
  void session.edit((revision) => session.api.addObject(revision));
  return free;
}

/** Undo or redo; if that would change another frame, only go there and say so. */
export async function stepHistory(session: Session, which: "undo" | "redo"): Promise<void> {
  await session.edits.settled();
  const next = session.project.value?.[which] ?? null;
  const word = which === "undo" ? "Undo" : "Redo";
  if (next === null) return session.toasts.info(`Nothing to ${which}`);
  if (next.frame !== null && next.frame !== session.look.frame.value) {
    session.goTo(next.frame);
    session.toasts.info(`${word} again to ${which}: ${next.did}`);
    return;
  }
  await session.edit(
    (revision) => session.api[which](revision),
    () => {
      session.marks.forget(null);
      session.toasts.announce(`${word}: ${next.did}`);
    },
  );
}

/** Ask for the mask in a box: x and y of its corner, width and height, in pixels of the video. */
export async function makeBox(
  session: Session,
  frame: number,
  slot: number,
  box: readonly number[],
): Promise<void> {
  session.boxesPending.value++;
  try {
    await session.edits.settled();
    await session.api.box(frame, slot, box);
  } catch (error) {
    session.boxesPending.value = 0;
    session.complain(error);
  }
}
