/** The options of the chosen exports. */
import type { Signal } from "@preact/signals";
import { titleOf } from "../model/document";
import { type ExportChoice, type OptionValue, toggled, typedNumber } from "../model/exports";
import type { ExportOption, ObjectInfo } from "../model/protocol";

interface Props {
  options: readonly ExportOption[];
  objects: readonly ObjectInfo[];
  choice: Signal<ExportChoice>;
}

export function ExportOptions({ options, objects, choice }: Props) {
  if (options.length === 0) return null;
  return (
    <fieldset class="options">
      <legend>Options</legend>
      {options.map((option) =>
        option.kind === "objects" ? (
          <ObjectsOption key={option.name} objects={objects} choice={choice} />
        ) : (
          <PlainOption key={option.name} option={option} choice={choice} />
        ),
      )}
    </fieldset>
  );
}

interface PlainProps {
  option: ExportOption;
  choice: Signal<ExportChoice>;
}

function PlainOption({ option, choice }: PlainProps) {
  const value = choice.value.values[option.name] ?? option.usual;
  const set = (next: OptionValue) => {
    const { values } = choice.value;
    choice.value = { ...choice.value, values: { ...values, [option.name]: next } };
  };
  if (option.kind === "choice") return <Choice option={option} value={value} set={set} />;
  if (option.kind !== "flag") return <NumberField option={option} value={value} set={set} />;
  return (
    <label class="check">
      <input
        type="checkbox"
        checked={value === true}
        onChange={(event) => set(event.currentTarget.checked)}
      />
      {option.title}
    </label>
  );
}

interface ValueProps {
  option: ExportOption;
  value: OptionValue;
  set: (value: OptionValue) => void;
}

function Choice({ option, value, set }: ValueProps) {
  return (
    <label class="field">
      {option.title}
      <select value={String(value)} onChange={(event) => set(event.currentTarget.value)}>
        {option.choices.map(([name, title]) => (
          <option key={name} value={name}>
            {title}
          </option>
        ))}
      </select>
    </label>
  );
}

function NumberField({ option, value, set }: ValueProps) {
  const text = value === null ? "" : String(value);
  return (
    <label class="field">
      {option.title}
      <input
        type="number"
        value={text}
        min={option.least ?? undefined}
        max={option.most ?? undefined}
        step={option.kind === "whole" ? 1 : "any"}
        onChange={(event) => {
          const typed = typedNumber(option, event.currentTarget.value);
          if (typed === undefined) event.currentTarget.value = text;
          else set(typed);
        }}
      />
    </label>
  );
}

function ObjectsOption({ objects, choice }: Omit<Props, "options">) {
  const { without, each } = choice.value;
  return (
    <fieldset class="of-objects">
      <legend>Objects in cut-outs, mattes and effects</legend>
      {objects.map((object) => (
        <label key={object.id} class="check">
          <input
            type="checkbox"
            checked={!without.has(object.id)}
            onChange={(event) => {
              const next = toggled(without, object.id, !event.currentTarget.checked);
              choice.value = { ...choice.value, without: next };
            }}
          />
          {titleOf(object)}
        </label>
      ))}
      <label class="check">
        <input
          type="checkbox"
          checked={each}
          onChange={(event) => {
            choice.value = { ...choice.value, each: event.currentTarget.checked };
          }}
        />
        one file for each object
      </label>
    </fieldset>
  );
}
