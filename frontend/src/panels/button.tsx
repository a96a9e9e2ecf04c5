/** A button for a command of the keyboard table, with its name and key. */
import type { ComponentChildren } from "preact";
import { ariaKeys, COMMANDS, type CommandName } from "../keys";
import { useWorkspace } from "../model/context";
import { Icon, type IconName } from "./icons";

interface Props {
  command: CommandName;
  icon?: IconName;
  /** Name for screen readers and the tooltip; what the table says by default. */
  name?: string;
  pressed?: boolean;
  disabled?: boolean;
  class?: string;
  children?: ComponentChildren;
}

export function CommandButton({
  command,
  icon,
  name,
  pressed,
  disabled,
  children,
  ...rest
}: Props) {
  const workspace = useWorkspace();
  const { keys, says, run } = COMMANDS[command];
  const label = name ?? says;
  return (
    <button
      type="button"
      class={rest.class ?? "quiet"}
      aria-label={label}
      aria-keyshortcuts={ariaKeys(command)}
      aria-pressed={pressed}
      disabled={disabled}
      title={`${label} (${keys[0]})`}
      onClick={() => run(workspace)}
    >
      {icon && <Icon name={icon} />}
      {children}
    </button>
  );
}
