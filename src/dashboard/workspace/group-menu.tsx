/** What the rows are grouped by, and whether archived runs are among them. */
import { MenuButton, MenuItem } from '../parts/popover.tsx';
import { OWN, paramColumn, tagColumn } from './columns.ts';
import { keys } from './keys-store.ts';
import { setView, view } from './view.ts';

export function GroupMenu() {
  const { group, archived } = view.value;
  const all = keys.value;
  const own = (['status', 'entry', 'project', 'group', 'host', 'user', 'commit'] as const).map((key) => ({
    id: key as string,
    title: OWN[key],
  }));
  const choices = [
    ...own,
    ...(all?.tags ?? []).slice(0, 40).map(({ key }) => ({ id: tagColumn(key), title: key })),
    ...(all?.params ?? []).slice(0, 60).map(({ key }) => ({ id: paramColumn(key), title: key })),
  ];
  return (
    <MenuButton label="Group, archived" icon="group" pressed={group !== undefined}>
      {(close) => (
        <>
          <div class="menu-title">Group by</div>
          <MenuItem
            checked={group === undefined}
            onPick={() => {
              setView({ group: undefined });
              close();
            }}
          >
            Nothing
          </MenuItem>
          {choices.map(({ id, title }) => (
            <MenuItem
              key={id}
              checked={group === id}
              onPick={() => {
                setView({ group: id });
                close();
              }}
            >
              {title}
            </MenuItem>
          ))}
          <div class="menu-rule" />
          <MenuItem
            checked={archived}
            onPick={() => {
              setView({ archived: !archived });
              close();
            }}
          >
            Archived runs too
          </MenuItem>
        </>
      )}
    </MenuButton>
  );
}
