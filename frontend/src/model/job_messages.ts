/** What the person hears of a job: how it ended, and the way on. */
import type { Job } from "./protocol";
import type { Session } from "./session";

/** Kind of errors about a frame that cannot be read. */
export const BAD_FRAME = "FrameError";
/** The way out of them, on buttons. */
export const HOLD = "Hold the frame before it";

/** Say that a job is in another state. */
export function tellOfJob(session: Session, job: Job): void {
  const name = job.what === "track" ? "Tracking" : "Export";
  if (job.state === "failed") explainFailure(session, job, name);
  else if (job.state === "stopped" && job.note) explainStop(session, job, name);
  else session.toasts.announce(`${name}: ${job.state}`);
}

function explainFailure(session: Session, { error }: Job, name: string): void {
  const hold = { label: HOLD, run: () => void session.holdBadFrames() };
  const action = error?.kind === BAD_FRAME ? hold : undefined;
  session.toasts.error(error?.message ?? `${name} failed`, action);
}

/** A job that nobody stopped: say why, and offer to go on. */
function explainStop(session: Session, job: Job, name: string): void {
  const { direction, until } = job;
  const again = (): void => {
    const end = until == null ? {} : { until };
    void session.startJob({ what: "track", direction: direction ?? "forward", ...end });
  };
  const action = job.what === "track" ? { label: "Go on", run: again } : undefined;
  session.toasts.error(`${name} stopped: ${job.note}`, action);
}
