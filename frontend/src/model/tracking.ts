/** Track jobs as the menu offers them. */
import type { Workspace } from "./context";
import { markedFrames, nextOf } from "./document";
import { reachOf, type TrackChoice } from "./look";

export const TRACK_CHOICES: Record<TrackChoice, string> = {
  end: "to the end",
  next: "next 25 frames",
  mark: "to the next mark of this object",
  out: "to the out point",
  backward: "backward to the beginning",
  both: "both ways",
};

/** What a choice would compute from here; null if it has no goal now. */
export function reachNow(workspace: Workspace, choice: TrackChoice) {
  const { look, session } = workspace;
  const project = session.project.value;
  if (project === null) return null;
  const frame = look.frame.value;
  const marked = markedFrames(project, look.slot.value);
  return reachOf(choice, {
    frame,
    outPoint: look.outPoint.value,
    nextMark: nextOf(marked, frame, 1),
    last: session.last.value,
  });
}

/** Frames that a choice has to compute: an estimate, for its time. */
export function framesToCompute(workspace: Workspace, choice: TrackChoice): number | null {
  const { session } = workspace;
  const project = session.project.value;
  const reach = reachNow(workspace, choice);
  if (project === null || reach === null) return null;
  const last = reach.until ?? session.last.value;
  const first = firstToCompute(workspace);
  const forward = reach.direction === "backward" ? 0 : Math.max(0, last + 1 - first);
  const begin = markedFrames(project, null)[0] ?? 0;
  return reach.direction === "forward" ? forward : forward + begin;
}

function firstToCompute({ session }: Workspace): number {
  const outdated = session.project.value?.outdated_from ?? Number.POSITIVE_INFINITY;
  for (let frame = 0; frame <= session.last.value; frame++) {
    if (frame >= outdated || session.results.stampOf(frame) === null) return frame;
  }
  return session.last.value + 1;
}

/** Start a track job; says why if it cannot. */
export function track(workspace: Workspace, choice: TrackChoice): void {
  const { look, session } = workspace;
  const project = session.project.value;
  if (project === null) return;
  if (Object.keys(project.prompts).length === 0) {
    session.toasts.info("Mark an object on a frame first: paint it, or draw a box around it.");
    return;
  }
  const reach = reachNow(workspace, choice);
  if (reach === null) {
    session.toasts.info(
      choice === "out" ? "Set an out point first (O)." : "This object has no later mark.",
    );
    return;
  }
  look.trackChoice.value = choice;
  void session.startJob({ what: "track", ...reach });
}
