/** Choose what is made from the masks, watch it being made, and fetch it. */
import { type Signal, useSignal } from "@preact/signals";
import { bytesText } from "../model/clock";
import { useWorkspace, type Workspace } from "../model/context";
import type { Job, MadeFile } from "../model/protocol";
import { isActive } from "../model/session";
import { Dialog } from "./dialog";

export function ExportDialog() {
  const workspace = useWorkspace();
  const { session, dialog } = workspace;
  const chosen = useSignal<ReadonlySet<string>>(new Set());
  const onlySpan = useSignal(false);
  const span = onlySpan.value ? spanOf(workspace) : null;
  const project = session.project.value;
  const job = session.job.value;
  session.results.version.value;
  if (project === null) return null;
  const [from, to] = span ?? [0, project.video.count - 1];
  const complete = session.results.covers(from, to);
  const working = job?.what === "export" && isActive(job);
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
          const exports = [...chosen.value];
          void session.startJob({ what: "export", exports, ...(span ? { span } : {}) });
        }}
      >
        <Range only={onlySpan} />
        <fieldset>
          <legend>Files</legend>
          {(session.hello.value?.exports ?? []).map(({ name, title }) => (
            <label key={name} class="check">
              <input
                type="checkbox"
                checked={chosen.value.has(name)}
                onChange={(event) => {
                  const next = new Set(chosen.value);
                  if (event.currentTarget.checked) next.add(name);
                  else next.delete(name);
                  chosen.value = next;
                }}
              />
              <span>{title}</span>
            </label>
          ))}
        </fieldset>
        {!complete && <p class="hint">Some of these frames have no masks yet: track them first.</p>}
        <div class="buttons">
          <button
            type="submit"
            class="main"
            disabled={!complete || chosen.value.size === 0 || isActive(job)}
          >
            Export
          </button>
          {working && (
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
  const path = `${session.project.value?.run}/exports/${file.name}`;
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
