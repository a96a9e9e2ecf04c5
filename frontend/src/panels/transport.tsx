/** The line above the timeline: playback, the frame's number and time, and the running job. */
import { useComputed } from "@preact/signals";
import { clockText, durationText, timesOf } from "../model/clock";
import { useWorkspace } from "../model/context";
import type { Job } from "../model/protocol";
import { isActive } from "../model/session";
import { TINTS } from "../stage/palette";
import { CommandButton } from "./button";
import { NumberField } from "./number_field";

export function Transport() {
  const { session, look } = useWorkspace();
  const times = useComputed(() => {
    const video = session.video.value;
    return video === null ? null : timesOf(video);
  });
  const project = session.project.value;
  if (project === null) return null;
  const { first, count } = project.video;
  const frame = look.frame.value;
  const playing = look.playing.value;
  const tint = TINTS[look.tint.value];
  const tintText = tint === 0 ? "outline" : `tint ${Math.round(tint * 100)} %`;
  return (
    <div class="transport">
      <CommandButton command="first" icon="first" />
      <CommandButton command="previous" icon="back" />
      <CommandButton
        command="play"
        icon={playing ? "pause" : "play"}
        name={playing ? "Pause" : "Play"}
      />
      <CommandButton command="next" icon="next" />
      <CommandButton command="last" icon="last" />
      <span class="frame-field">
        <span aria-hidden="true">frame</span>
        <NumberField
          label="Frame number"
          min={first}
          max={first + count - 1}
          value={frame + first}
          onChange={(typed) => {
            session.goTo(typed - first);
            return look.frame.value + first;
          }}
        />
      </span>
      <span class="of">
        of {count} · {clockText(times.value?.[frame] ?? 0)}
      </span>
      <CommandButton command="tint" class="small" name={`Masks: ${tintText}`}>
        {tintText}
      </CommandButton>
      <CommandButton command="fit" icon="fit" />
      <span class="space" />
      <JobLine />
    </div>
  );
}

function JobLine() {
  const { session, look } = useWorkspace();
  const job = session.job.value;
  if (session.external.value !== null) {
    return <span class="job">another program works here: {session.external.value}</span>;
  }
  if (job === null || !isActive(job)) return <IdleLine job={job} />;
  const share = job.total ? (job.done ?? 0) / job.total : 0;
  return (
    <div class="job">
      <span class="job-text">{progressText(job)}</span>
      <progress aria-label="Progress" value={share} max={1} />
      <label class="check">
        <input
          type="checkbox"
          checked={look.follow.value}
          onChange={(event) => {
            look.follow.value = event.currentTarget.checked;
          }}
        />
        Follow
      </label>
      <label class="check" title="When a mark changes, stop, take it up, and go on">
        <input
          type="checkbox"
          checked={look.resumeAfterEdits.value}
          onChange={(event) => {
            look.resumeAfterEdits.value = event.currentTarget.checked;
            session.api
              .resumeAfterEdits(event.currentTarget.checked)
              .catch((error) => session.complain(error));
          }}
        />
        Go on after edits
      </label>
      <button
        type="button"
        class="small"
        aria-keyshortcuts="Control+."
        title="Stop (Ctrl+.)"
        disabled={job.state === "stopping"}
        onClick={() => void session.stopJob()}
      >
        Stop
      </button>
    </div>
  );
}

function IdleLine({ job }: { job: Job | null }) {
  const { session } = useWorkspace();
  const project = session.project.value;
  session.results.version.value;
  if (project === null) return null;
  const done = session.results.done;
  const outdated = project.outdated_from;
  const parts = [`masks on ${done} of ${project.video.count} frames`];
  if (outdated !== null) parts.push(`outdated from ${outdated + project.video.first}`);
  if (job?.state === "stopped") parts.push("stopped");
  return <span class="job">{parts.join(" · ")}</span>;
}

function progressText(job: Job): string {
  if (job.state === "queued") return "waiting";
  if (job.state === "stopping") return "stopping after this frame";
  const name = job.pass ?? (job.what === "export" ? "export" : "starting");
  const parts = [name];
  if (job.total) parts.push(`${job.done ?? 0} of ${job.total}`);
  if (job.rate) parts.push(`${job.rate.toFixed(1)} fps`);
  if (job.left != null) parts.push(`${durationText(job.left)} left`);
  return parts.join(" · ");
}
