/** The start page: a folder to choose from, earlier runs, and a place to drop a video. */
import { type Signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { OpenRequest } from "../model/api";
import { bytesText } from "../model/clock";
import { useWorkspace } from "../model/context";
import type { Folder, FolderEntry, RecentRun } from "../model/protocol";
import { Icon } from "./icons";
import { OpenDialog } from "./open";
import { Upload } from "./upload";

export function Start() {
  const { session } = useWorkspace();
  const chosen = useSignal<string | null>(null);
  const opening = useSignal("");
  const hello = session.hello.value;
  if (hello === null) return null;
  const open = async (request: OpenRequest) => {
    opening.value = request.run ?? request.video ?? "";
    try {
      await session.open(request);
    } catch (error) {
      session.complain(error);
    }
    opening.value = "";
  };
  return (
    <main class="start">
      <h1>maskcast</h1>
      <p class="hint">Open a video, mark objects on any frame, track them, correct, export.</p>
      {opening.value !== "" && <p role="status">Opening {opening.value}…</p>}
      <div class="columns">
        <FolderColumn chosen={chosen} open={open} />
        <RecentColumn open={open} />
        <Upload
          onDone={(path) => {
            chosen.value = path;
          }}
        />
      </div>
      {chosen.value !== null && (
        <OpenDialog
          video={chosen.value}
          onClose={() => {
            chosen.value = null;
          }}
        />
      )}
    </main>
  );
}

interface Opens {
  open: (request: OpenRequest) => Promise<void>;
}

function FolderColumn({ chosen, open }: Opens & { chosen: Signal<string | null> }) {
  const { session } = useWorkspace();
  const path = useSignal("");
  const folder = useSignal<Folder | null>(null);
  useEffect(() => {
    session.api
      .folder(path.value)
      .then((found) => {
        folder.value = found;
      })
      .catch((error) => session.complain(error));
  }, [session, folder, path.value]);
  const choose = (entry: FolderEntry) => {
    if (entry.kind === "folder") path.value = entry.path;
    else if (entry.kind === "run") void open({ run: entry.path });
    else chosen.value = entry.path;
  };
  const { value } = folder;
  return (
    <section aria-labelledby="folder-title">
      <h2 id="folder-title">Folder</h2>
      <p class="path">
        {session.hello.value?.root}
        {value?.path ? `/${value.path}` : ""}
      </p>
      <ul class="entries">
        {value?.parent != null && (
          <li>
            <button
              type="button"
              class="name"
              onClick={() => {
                path.value = value.parent ?? "";
              }}
            >
              <Icon name="up" />
              <span class="text">up</span>
            </button>
          </li>
        )}
        {value?.entries.map((entry) => (
          <li key={entry.path}>
            <button type="button" class="name" onClick={() => choose(entry)}>
              <Icon name={entry.kind === "folder" ? "folder" : "film"} />
              <span class="text">{entry.name}</span>
              <span class="hint">{noteOf(entry)}</span>
            </button>
          </li>
        ))}
      </ul>
      {value !== null && value.entries.length === 0 && <p class="hint">No videos here.</p>}
    </section>
  );
}

function noteOf(entry: FolderEntry): string {
  if (entry.kind === "run") return "run";
  if (entry.kind === "frames") return "frames";
  return entry.bytes === null || entry.kind === "folder" ? "" : bytesText(entry.bytes);
}

function RecentColumn({ open }: Opens) {
  const { session } = useWorkspace();
  const runs = useSignal<readonly RecentRun[] | null>(null);
  useEffect(() => {
    session.api
      .recent()
      .then((found) => {
        runs.value = found.runs;
      })
      .catch((error) => session.complain(error));
  }, [session, runs]);
  return (
    <section aria-labelledby="recent-title">
      <h2 id="recent-title">Recent</h2>
      {runs.value?.length === 0 && <p class="hint">No runs yet.</p>}
      <ul class="entries recent">
        {runs.value?.map((run) => (
          <RecentEntry key={run.path} run={run} open={open} />
        ))}
      </ul>
    </section>
  );
}

function RecentEntry({ run, open }: Opens & { run: RecentRun }) {
  const date = new Date(run.modified * 1000).toLocaleDateString();
  return (
    <li>
      <button
        type="button"
        class="name"
        disabled={run.lost}
        onClick={() => void open({ run: run.path })}
      >
        {run.lost ? <span class="thumbnail" /> : <Thumbnail path={run.path} />}
        <span class="text">
          {run.path}
          <span class="hint">
            {run.total === null ? "" : `${run.done} of ${run.total} frames · `}
            {statusOf(run)} · {date}
          </span>
          {run.lost && (
            <span class="hint trouble">
              Its video {run.video} is no longer there: put it back to open this run.
            </span>
          )}
        </span>
      </button>
    </li>
  );
}

/** How far a run is. A card says "running" from its beginning on, and still after a crash. */
function statusOf({ done, status }: RecentRun): string {
  if (status === "finished") return status;
  return done === 0 ? "not tracked yet" : "unfinished";
}

function Thumbnail({ path }: { path: string }) {
  const { session } = useWorkspace();
  const address = useSignal("");
  useEffect(() => {
    session.api
      .thumbnail(path)
      .then((blob) => {
        address.value = URL.createObjectURL(blob);
      })
      .catch(() => undefined);
    return () => URL.revokeObjectURL(address.peek());
  }, [session, address, path]);
  return address.value === "" ? <span class="thumbnail" /> : <img src={address.value} alt="" />;
}
