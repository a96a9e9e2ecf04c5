/** The objects: choose, rename, colour, hide, lock, end, delete. */
import { useSignal } from "@preact/signals";
import { removeMark, toggleEnd } from "../keys";
import { useWorkspace, type Workspace } from "../model/context";
import { titleOf } from "../model/document";
import type { ObjectInfo, Project } from "../model/protocol";
import { readableOn } from "../stage/palette";
import { CommandButton } from "./button";
import { Icon } from "./icons";
import { type Choice, Menu } from "./menu";

export function Objects() {
  const { session } = useWorkspace();
  const project = session.project.value;
  if (project === null) return null;
  return (
    <section aria-labelledby="objects-title">
      <header>
        <h2 id="objects-title">Objects</h2>
        <CommandButton command="add" icon="plus" class="small">
          Add
        </CommandButton>
      </header>
      {project.objects.length === 0 && (
        <p class="hint">Paint on the frame: the first stroke begins object 1.</p>
      )}
      <ul class="objects">
        {project.objects.map((object) => (
          <ObjectRow key={object.slot} object={object} project={project} />
        ))}
      </ul>
    </section>
  );
}

function ObjectRow({ object, project }: { object: ObjectInfo; project: Project }) {
  const workspace = useWorkspace();
  const { look } = workspace;
  const renaming = useSignal(false);
  const { slot } = object;
  const chosen = look.slot.value === slot;
  const hidden = look.hidden.value.has(slot);
  const name = titleOf(object);
  const colours = { background: object.colour, color: readableOn(object.colour) };
  const choose = () => {
    look.slot.value = slot;
  };
  return (
    <li class={chosen ? "chosen" : ""}>
      {renaming.value ? (
        <NameField
          object={object}
          onDone={() => {
            renaming.value = false;
          }}
        />
      ) : (
        <button
          type="button"
          class="name"
          aria-pressed={chosen}
          onClick={choose}
          onDblClick={() => {
            renaming.value = true;
          }}
        >
          <span class="number" style={colours}>
            {object.id}
          </span>
          <span class="text">{object.name}</span>
        </button>
      )}
      <button
        type="button"
        class="quiet"
        aria-label={hidden ? `Show ${name}` : `Hide ${name}`}
        aria-pressed={hidden}
        title={hidden ? "Show" : "Hide"}
        onClick={() => look.toggleHidden(slot)}
      >
        <Icon name={hidden ? "eyeOff" : "eye"} />
      </button>
      <button
        type="button"
        class="quiet"
        aria-label={object.locked ? `Unlock ${name}` : `Lock ${name}`}
        aria-pressed={object.locked}
        title={object.locked ? "Unlock" : "Lock: its pixels stay"}
        onClick={() => change(workspace, slot, { locked: !object.locked })}
      >
        <Icon name={object.locked ? "lock" : "lockOpen"} />
      </button>
      <Menu
        name={`More about ${name}`}
        choices={choicesOf(workspace, project, object, () => {
          renaming.value = true;
        })}
      >
        <Icon name="more" />
      </Menu>
    </li>
  );
}

type Change = Parameters<Workspace["session"]["api"]["changeObject"]>[2];

function change({ session }: Workspace, slot: number, changes: Change): void {
  void session.edit((revision) => session.api.changeObject(revision, slot, changes));
}

function NameField({ object, onDone }: { object: ObjectInfo; onDone: () => void }) {
  const workspace = useWorkspace();
  const finish = (name: string) => {
    const text = name.trim();
    if (text !== "" && text !== object.name) change(workspace, object.slot, { name: text });
    onDone();
  };
  return (
    <input
      class="name"
      aria-label={`Name of object ${object.id}`}
      maxLength={80}
      defaultValue={object.name}
      ref={(element) => element?.focus()}
      onFocus={(event) => event.currentTarget.select()}
      onBlur={(event) => finish(event.currentTarget.value)}
      onKeyDown={(event) => {
        if (event.key === "Enter") event.currentTarget.blur();
        if (event.key === "Escape") onDone();
      }}
    />
  );
}

function choicesOf(
  workspace: Workspace,
  project: Project,
  object: ObjectInfo,
  rename: () => void,
): Choice[] {
  const { session, look, pointer } = workspace;
  const { slot } = object;
  const frame = look.frame.value;
  const ends = project.ends.some(([at, other]) => at === frame && other === slot);
  const marked = [...(project.prompts[frame] ?? []), ...(project.absent[frame] ?? [])];
  const withSlot = (run: (workspace: Workspace) => void) => () => {
    look.slot.value = slot;
    run(workspace);
  };
  return [
    { label: "Rename", run: rename },
    { label: "Colour…", run: () => pickColour(workspace, object) },
    { label: ends ? "Does not end here" : "Ends here", hint: "X", run: withSlot(toggleEnd) },
    {
      label: "Absent on this frame",
      run: withSlot(() => pointer.value?.clearObject()),
    },
    {
      label: "Remove its mark on this frame",
      hint: "Del",
      disabled: !marked.includes(slot),
      run: withSlot(removeMark),
    },
    {
      label: "Delete object",
      run: () =>
        void session.edit(
          (revision) => session.api.deleteObject(revision, slot),
          () => session.marks.forget(null),
        ),
    },
  ];
}

function pickColour(workspace: Workspace, object: ObjectInfo): void {
  const input = document.createElement("input");
  input.type = "color";
  input.value = object.colour;
  input.onchange = () => change(workspace, object.slot, { colour: input.value });
  input.click();
}
