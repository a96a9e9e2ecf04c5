/** What is on the frame shown: each object's area and confidence, as text. */
import { useWorkspace, type Workspace } from "../model/context";
import { changesOf, titleOf } from "../model/document";
import type { ObjectInfo, Project } from "../model/protocol";

export function FramePanel() {
  const workspace = useWorkspace();
  const { session, stage } = workspace;
  const project = session.project.value;
  session.results.version.value;
  stage.value?.painted.value;
  if (project === null) return null;
  const areas = stage.value?.areas() ?? null;
  return (
    <section aria-labelledby="frame-title">
      <header>
        <h2 id="frame-title">This frame</h2>
      </header>
      {project.objects.length === 0 && <p class="hint">No objects yet.</p>}
      <ul class="facts-list">
        {project.objects.map((object) => (
          <li key={object.slot}>
            <span class="text">{titleOf(object)}</span>
            <span>{factsOf(workspace, project, object, areas)}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function factsOf(
  { session, look }: Workspace,
  project: Project,
  { slot }: ObjectInfo,
  areas: Uint32Array | null,
): string {
  const frame = look.frame.value;
  const marked = (project.prompts[frame] ?? []).includes(slot);
  const size = areas === null ? "" : `${areas[slot].toLocaleString("en")} px`;
  if ((project.absent[frame] ?? []).includes(slot)) return "marked as absent";
  if ((project.lost[frame] ?? []).includes(slot)) return "mask not available";
  if (project.ends.some(([at, other]) => at === frame && other === slot)) return "ends here";
  if (marked) return `${size} · marked`;
  const changed = changesOf(project, frame, slot);
  if (changed !== null) return `${size} · ${changed}`;
  if (session.results.stampOf(frame) === null) return size === "0 px" || size === "" ? "–" : size;
  if (areas !== null && areas[slot] === 0) return "absent";
  const confidence = session.results.tracks.get(slot)?.confidence[frame];
  const sure = confidence === undefined || Number.isNaN(confidence) ? "" : confidence.toFixed(2);
  return `${size} ${sure}`;
}
