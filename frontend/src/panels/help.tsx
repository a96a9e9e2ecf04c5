/** The keyboard map, and what each sign means. */
import { COMMANDS, type Command, shownKey } from "../keys";
import { useWorkspace } from "../model/context";
import { Dialog } from "./dialog";

const GROUPS: readonly Command["group"][] = ["Time", "Marking", "Tracking", "Objects", "View"];

const EXTRA: Record<Command["group"], readonly [string, string][]> = {
  Time: [],
  Marking: [],
  Tracking: [],
  Objects: [["1–9", "Choose an object"]],
  View: [
    ["H", "Hide all masks while it is held"],
    ["wheel", "Zoom at the pointer; over the timeline, zoom time (Shift: move)"],
    ["middle button", "Pan"],
  ],
};

const SIGNS: readonly [string, string][] = [
  ["◆", "the object was marked on this frame"],
  ["∅", "the object was marked as absent on this frame; it may come back"],
  ["✕", "the object ends here; a later mark begins it again"],
  ["⇄", "objects were swapped or merged from here on, with --swap or --merge"],
  ["▲", "a frame to look at: the area jumps, the object is lost or unsure"],
  ["height", "area of the object (square root); nothing: absent"],
  ["line", "confidence, where it is below 0.8"],
  ["stripes, dashes", "outdated: marks changed since these masks were computed"],
];

export function Help() {
  const { dialog, look } = useWorkspace();
  return (
    <Dialog
      title="Keys and signs"
      onClose={() => {
        dialog.value = null;
      }}
    >
      <div class="help">
        {GROUPS.map((group) => (
          <section key={group}>
            <h3>{group}</h3>
            <Table rows={[...rowsOf(group), ...EXTRA[group]]} />
          </section>
        ))}
        <section>
          <h3>Timeline and stage</h3>
          <Table rows={SIGNS} />
        </section>
        <label class="check">
          <input
            type="checkbox"
            checked={look.keysOn.value}
            onChange={(event) => {
              look.keysOn.value = event.currentTarget.checked;
            }}
          />
          Single-key shortcuts
        </label>
        <p class="hint">maskcast {__VERSION__}</p>
      </div>
    </Dialog>
  );
}

function rowsOf(group: Command["group"]): [string, string][] {
  return Object.values(COMMANDS)
    .filter((command) => command.group === group)
    .map(({ keys, says }) => [shownKey(keys[0]), says]);
}

function Table({ rows }: { rows: readonly (readonly [string, string])[] }) {
  return (
    <dl>
      {rows.map(([key, says]) => (
        <div key={key}>
          <dt>
            <kbd>{key}</kbd>
          </dt>
          <dd>{says}</dd>
        </div>
      ))}
    </dl>
  );
}
