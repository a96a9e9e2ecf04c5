/** The top line: the video, whether all is saved, undo, tracking, export, help. */
import { COMMANDS } from "../keys";
import { durationText } from "../model/clock";
import { useWorkspace, type Workspace } from "../model/context";
import type { TrackChoice } from "../model/look";
import { isActive } from "../model/session";
import { framesToCompute, TRACK_CHOICES, track } from "../model/tracking";
import { CommandButton } from "./button";
import { Icon } from "./icons";
import { Menu } from "./menu";

export function Header() {
  const workspace = useWorkspace();
  const { session, dialog } = workspace;
  const project = session.project.value;
  if (project === null) return null;
  const { width, height, rate, count } = project.video;
  const speed = rate === null ? "" : ` · ${Number(rate.toFixed(3))} fps`;
  return (
    <header class="bar">
      <h1 class="only-read">{project.name}</h1>
      <Menu
        name={`${project.name}: project`}
        choices={[
          { label: "Close the project", run: () => void session.close() },
          { label: "Import a mask for this frame…", run: () => importMasks(workspace, false) },
          { label: "Import a folder of masks…", run: () => importMasks(workspace, true) },
          { label: "Copy the command line", run: () => void copyCommand(workspace) },
        ]}
      >
        <strong>{project.name}</strong>
        <Icon name="down" />
      </Menu>
      <span class="facts">
        {width}×{height}
        {speed} · {count} frames
      </span>
      <Saved />
      <span class="space" />
      <CommandButton command="undo" icon="undo" disabled={project.undo === null} />
      <CommandButton command="redo" icon="redo" disabled={project.redo === null} />
      <TrackButton />
      <button
        type="button"
        aria-keyshortcuts="Control+E"
        title="Export (Ctrl+E)"
        onClick={() => COMMANDS.export.run(workspace)}
      >
        Export…
      </button>
      <button
        type="button"
        class="quiet"
        aria-label="Help"
        aria-keyshortcuts="?"
        title="Help (?)"
        onClick={() => {
          dialog.value = "help";
        }}
      >
        ?
      </button>
    </header>
  );
}

const STATES = {
  saved: "saved in",
  saving: "saving in",
  "disk full": "not saved in",
  lost: "not saved in",
} as const;

function Saved() {
  const { session } = useWorkspace();
  const state = session.edits.state.value;
  const run = session.project.value?.run ?? "";
  return (
    <span class={`saved ${state === "saved" || state === "saving" ? "" : "trouble"}`}>
      {state === "saved" && <Icon name="check" />}
      {STATES[state]} {run}
    </span>
  );
}

function TrackButton() {
  const workspace = useWorkspace();
  const { session, look } = workspace;
  const choice = look.trackChoice.value;
  const busy = isActive(session.job.value);
  session.results.version.value;
  const choices = (Object.keys(TRACK_CHOICES) as TrackChoice[]).map((other) => ({
    label: TRACK_CHOICES[other],
    hint: estimate(workspace, other),
    checked: other === choice,
    run: () => track(workspace, other),
  }));
  return (
    <div class="joined">
      <button
        type="button"
        class="main"
        disabled={busy}
        aria-keyshortcuts="Enter"
        title={`Track ${TRACK_CHOICES[choice]} (Enter)`}
        onClick={() => track(workspace, choice)}
      >
        <Icon name="play" />
        <span>Track {TRACK_CHOICES[choice]}</span>
      </button>
      <Menu name="How far to track" class="main" disabled={busy} choices={choices}>
        <Icon name="down" />
      </Menu>
    </div>
  );
}

/** The time that a choice would take, if a job has shown how fast it goes. */
function estimate(workspace: Workspace, choice: TrackChoice): string {
  const frames = framesToCompute(workspace, choice);
  if (frames === null) return "–";
  const rate = workspace.session.speed.value;
  const shown = `${frames} ${frames === 1 ? "frame" : "frames"}`;
  return rate === null ? shown : `${shown}, ${durationText(frames / rate)}`;
}

const MASKS = /^[^.].*\.(png|json|npy|npz|webp|tiff?|bmp)$/i;

/** Import a file for the frame shown, or a folder whose files say their frames by their names. */
function importMasks({ session, look }: Workspace, folder: boolean): void {
  const input = document.createElement("input");
  input.type = "file";
  input.webkitdirectory = folder;
  if (!folder) input.accept = ".png,.json,.npy,.npz,.webp,.tif,.tiff,.bmp";
  input.onchange = () => {
    const files = [...(input.files ?? [])].filter((file) => MASKS.test(file.name));
    const frame = look.frame.value;
    if (files.length === 0) return session.toasts.error("There is no file with masks.");
    void session.edit(
      (revision) =>
        folder
          ? session.api.importFolder(revision, files)
          : session.api.importMask(revision, frame, files[0]),
      (answer) => {
        session.marks.forget(null);
        session.toasts.info(["Imported.", ...(answer.report ?? [])].join(" "));
      },
    );
  };
  input.click();
}

/** Ask for the command first: it follows the marks. */
async function copyCommand({ session }: Workspace): Promise<void> {
  await session.edits.settled();
  const project = await session.api.project().catch((error) => session.complain(error));
  if (!project) return;
  try {
    await navigator.clipboard.writeText(project.command);
    session.toasts.info(`Copied: ${project.command}`);
  } catch {
    session.toasts.info(project.command);
  }
}
