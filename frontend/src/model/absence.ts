/** An object that was erased to nothing is absent; where it is gone for good, it can end there. */
import { objectOf, titleOf } from "./document";
import type { DocumentInfo } from "./protocol";
import type { Session } from "./session";

/** Slots that are marked as absent on a frame in a document, but not in an earlier one. */
export function newlyAbsent(
  before: Pick<DocumentInfo, "absent">,
  after: Pick<DocumentInfo, "absent">,
  frame: number,
): number[] {
  const known = before.absent[frame] ?? [];
  return (after.absent[frame] ?? []).filter((slot) => !known.includes(slot));
}

/** Offer to end objects on the frame on which they were marked as absent. */
export function offerEnds(session: Session, frame: number, slots: readonly number[]): void {
  const project = session.project.value;
  if (project === null) return;
  for (const slot of slots) {
    const object = objectOf(project, slot);
    if (object === null) continue;
    session.toasts.offer(`${titleOf(object)} is absent on this frame and may come back.`, {
      label: "Ends here",
      run: () =>
        void session.edit(
          (revision) => session.api.setEnd(revision, frame, slot, true),
          () => session.marks.forget([frame]),
        ),
    });
  }
}
