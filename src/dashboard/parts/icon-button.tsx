import { Icon, type IconName } from './icon.tsx';

/** A button that is only a picture: its label is read to those who do not see it, and shown to those who point at it. */
export function IconButton(props: {
  icon: IconName;
  label: string;
  /** What is shown to those who point at it, where that is not the label. */
  title?: string;
  /** Its size, and how its picture is turned. */
  class?: 'tiny' | 'tiny turn-up' | 'wide-only';
  disabled?: boolean;
  onClick: (event: MouseEvent) => void;
}) {
  return (
    <button
      type="button"
      class={props.class === undefined ? 'icon-button' : `icon-button ${props.class}`}
      aria-label={props.label}
      title={props.title ?? props.label}
      disabled={props.disabled}
      onClick={props.onClick}
    >
      <Icon name={props.icon} />
    </button>
  );
}
