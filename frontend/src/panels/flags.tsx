/** Frames where the masks look wrong: go there, and check them off. */
import { COMMANDS } from "../keys";
import { useWorkspace } from "../model/context";
import { objectOf } from "../model/document";
import { Icon } from "./icons";

export function Flags() {
  const workspace = useWorkspace();
  const { session, look } = workspace;
  const project = session.project.value;
  if (project === null) return null;
  const unseen = session.flags.value.filter((flag) => !flag.seen);
  const left = unseen.length;
  return (
    <section aria-labelledby="flags-title">
      <header>
        <h2 id="flags-title">Look at these ({left})</h2>
        <button
          type="button"
          class="small"
          disabled={left === 0}
          aria-keyshortcuts="N"
          title="Next frame to look at (N)"
          onClick={() => COMMANDS.nextFlag.run(workspace)}
        >
          Next
        </button>
      </header>
      {left === 0 && <p class="hint">No frame stands out.</p>}
      <ul class="flags">
        {unseen.map((flag) => (
          <li key={`${flag.frame} ${flag.slot} ${flag.kind}`}>
            <button
              type="button"
              class="name"
              aria-current={flag.frame === look.frame.value}
              onClick={() => {
                session.goTo(flag.frame);
                look.slot.value = flag.slot;
              }}
            >
              <Icon name="flag" />
              <span class="text">
                {flag.frame + project.video.first} · {objectOf(project, flag.slot)?.id ?? "?"}{" "}
                {flag.text}
              </span>
            </button>
            <button
              type="button"
              class="quiet"
              aria-label={`Checked: frame ${flag.frame + project.video.first}, ${flag.text}`}
              title="Checked (C)"
              onClick={() => void session.markSeen(flag, true)}
            >
              <Icon name="check" />
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
