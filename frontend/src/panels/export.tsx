/** Choose what is made from the masks, watch it being made, and fetch it. */
import { type Signal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { bytesText } from "../model/clock";
import { useWorkspace, type Workspace } from "../model/context";
import {
  type ExportChoice,
  expectedBytes,
  grouped,
  isPossible,
  NOTHING,
  optionsFor,
  requestOptions,
  toggled,
} from "../model/exports";
import type { ExportInfo, Job, MadeFile, VideoInfo } from "../model/protocol";
import { isActive } from "../model/session";
import { Dialog } from "./dialog";
import { ExportOptions } from "./export_options";

export function ExportDialog() {
  const workspace = useWorkspace();
  const { session, dialog } = workspace;
  const choice = useSignal<ExportChoice>(NOTHING);
  const onlySpan = useSignal(false);
  const span = onlySpan.value ? spanOf(workspace) : null;
  const project = session.project.value;
  const job = session.job.value;
  session.results.version.value;
  if (project === null) return null;
  const [from, to] = span ?? [0, project.video.count - 1];
  const complete = session.results.covers(from, to);
  const { exports = [], export_options = [] } = session.hello.value ?? {};
  const { names } = choice.value;
  const shown = optionsFor(exports, export_options, names, project);
  const possible = complete && isPossible(choice.value, project.objects);
  const start = () => {
    const options = requestOptions(choice.value, shown, project.objects);
    const request = { exports: [...names], options, ...(span ? { span } : {}) };
    void session.startJob({ what: "export", ...request });
  };
  return (
    <Dialog
      title="Export"
      onClose={() => {
        dialog.value = null;
      }}
    >
      <form
        class="export"
        onSubmit={(event) => {
          event.preventDefault();
          start();
        }}
      >
        <Range only={onlySpan} />
        <Files exports={exports} choice={choice} frames={to - from + 1} video={project.video} />
        <ExportOptions options={shown} objects={project.objects} choice={choice} />
        {!complete && <p class="hint">Some of these frames have no masks yet: track them first.</p>}
        <div class="buttons">
          <button type="submit" class="main" disabled={!possible || isActive(job)}>
            Export
          </button>
          {job?.what === "export" && isActive(job) && (
            <button type="button" onClick={() => void session.stopJob()}>
              Cancel
            </button>
          )}
        </div>
      </form>
      {job?.what === "export" && <Result job={job} />}
    </Dialog>
  );
}

interface FilesProps {
  exports: readonly ExportInfo[];
  choice: Signal<ExportChoice>;
  frames: number;
  video: VideoInfo;
}

/** What can be made, in groups, and about how large it is. */
function Files({ exports, choice, frames, video }: FilesProps) {
  const { names } = choice.value;
  return (
    <div class="files">
      {grouped(exports).map(([group, offers]) => (
        <fieldset key={group}>
          <legend>{group}</legend>
          {offers
            .map((offer) => ({ ...offer, bytes: expectedBytes(offer, video, frames) }))
            .map(({ name, title, bytes }) => (
              <label key={name} class="check">
                <input
                  type="checkbox"
                  checked={names.has(name)}
                  onChange={(event) => {
                    const next = toggled(names, name, event.currentTarget.checked);
                    choice.value = { ...choice.value, names: next };
                  }}
                />
                <span>
                  {title} {bytes !== null && <span class="hint">≈ {bytesText(bytes)}</span>}
                </span>
              </label>
            ))}
        </fieldset>
      ))}
    </div>
  );
}

function spanOf({ look, session }: Workspace): [number, number] {
  return [look.inPoint.value ?? 0, look.outPoint.value ?? session.last.value];
}

function Range({ only }: { only: Signal<boolean> }) {
  const workspace = useWorkspace();
  const { look, session } = workspace;
  const first = session.project.value?.video.first ?? 0;
  const none = look.inPoint.value === null && look.outPoint.value === null;
  const [from, to] = spanOf(workspace);
  return (
    <fieldset>
      <legend>Range</legend>
      <label class="check">
        <input
          type="radio"
          name="range"
          checked={!only.value}
          onChange={() => {
            only.value = false;
          }}
        />
        all frames
      </label>
      <label class="check">
        <input
          type="radio"
          name="range"
          disabled={none}
          checked={only.value}
          onChange={() => {
            only.value = true;
          }}
        />
        {none
          ? "in to out point (set them with I and O)"
          : `frames ${from + first} to ${to + first}`}
      </label>
    </fieldset>
  );
}

function Result({ job }: { job: Job }) {
  const element = useRef<HTMLDivElement>(null);
  useEffect(() => element.current?.scrollIntoView({ block: "end" }), [job.state]);
  return (
    <div ref={element}>
      <ResultOf job={job} />
    </div>
  );
}

function ResultOf({ job }: { job: Job }) {
  if (job.state === "failed")
    return <p role="alert">{job.error?.message ?? "The export failed."}</p>;
  if (job.state === "stopped") return <p>Cancelled; files that were whole are kept.</p>;
  if (job.state !== "done") {
    const share = job.total ? (job.done ?? 0) / job.total : 0;
    return (
      <p>
        <progress aria-label="Export" value={share} max={1} /> {job.done ?? 0} of {job.total ?? "?"}
      </p>
    );
  }
  return (
    <ul class="made" aria-label="Finished files">
      {(job.files ?? []).map((file) => (
        <FileRow key={file.name} file={file} />
      ))}
    </ul>
  );
}

function FileRow({ file }: { file: MadeFile }) {
  const { session } = useWorkspace();
  const run = session.project.value?.run;
  const folder = file.name.replace(/\.zip$/, ""); // zip archives are made while they are sent
  const path = file.name === "labels.zip" ? run : `${run}/exports/${folder}`;
  const pathShown = useSignal(false);
  const download = async () => {
    try {
      const link = document.createElement("a");
      link.href = await session.api.downloadAddress(file.name);
      link.download = "";
      link.click();
    } catch (error) {
      session.complain(error);
    }
  };
  return (
    <li>
      <span class="text">
        {pathShown.value ? path : file.name}{" "}
        {file.bytes !== null && <span class="hint">{bytesText(file.bytes)}</span>}
      </span>
      <button type="button" class="small" onClick={() => void download()}>
        Download
      </button>
      <button
        type="button"
        class="small"
        onClick={() => {
          pathShown.value = !pathShown.value;
        }}
      >
        {pathShown.value ? "Hide path" : "Show path"}
      </button>
    </li>
  );
}
