/** Play the clip by its presentation times; frames that come too late are dropped. */
import { effect } from "@preact/signals";
import { frameAt, timesOf } from "./clock";
import type { Session } from "./session";

/** Move the playhead while `playing` is on; returns what ends that. */
export function followPlayback(session: Session): () => void {
  return effect(() => {
    const video = session.project.peek()?.video;
    if (!session.look.playing.value || video === undefined) return undefined;
    return play(session, timesOf(video));
  });
}

function play(session: Session, times: Float64Array): () => void {
  const { look } = session;
  const last = times.length - 1;
  const first = look.frame.peek() >= last ? 0 : look.frame.peek();
  const begun = performance.now() - times[first] * 1000;
  let request = 0;
  const tick = () => {
    const frame = frameAt(times, (performance.now() - begun) / 1000);
    session.goTo(frame);
    if (frame >= last) look.playing.value = false;
    else request = requestAnimationFrame(tick);
  };
  request = requestAnimationFrame(tick);
  return () => cancelAnimationFrame(request);
}
