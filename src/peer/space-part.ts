/** The verbs about what part of a space this device takes: receiving only, selecting paths, and what stays unsent because of it. */
import { SkeinError } from '../base/errors.ts'
import { untilAborted } from '../base/clock.ts'
import { limits } from '../base/limits.ts'
import type { Entry } from '../crdt/tree-view.ts'
import type { SpaceSetting } from '../crdt/settings.ts'
import { rootNodeId } from '../crdt/node-id.ts'
import { rowKey } from '../files/folder-tree.ts'
import type { PartRules } from '../files/folder-part.ts'
import { pathProblem } from '../files/names.ts'
import { createSelection } from '../files/selection.ts'
import type { EntryList, SpaceEntry } from './api-part.ts'
import type { PeerApi } from './api.ts'
import type { EventBus } from './event-bus.ts'
import { paused } from './space-conflicts.ts'
import type { Joined, Shelf } from './space-shelf.ts'
import { describeSpace } from './space-status.ts'

export interface PartVerbParts {
  readonly shelf: Shelf
  readonly find: (space: string) => Promise<SpaceSetting>
  readonly bus: EventBus
}

type PartVerbs = Pick<PeerApi, 'spaceRole' | 'select' | 'localChanges' | 'revert' | 'entries'>

export function createPartVerbs({ shelf, find, bus }: PartVerbParts): PartVerbs {
  const heldHere = async (
    wanted: string,
  ): Promise<{ readonly space: SpaceSetting; readonly held: Joined }> => {
    const space = await find(wanted)
    const held = shelf.joined.get(space.id)
    if (held !== undefined) return { space, held }
    throw new SkeinError('not.found', `the space ${space.name} does not lie on this device`, {
      fix: `skein join ${space.name} DIR`,
    })
  }
  return {
    async spaceRole({ space: wanted, role }) {
      const { space, held } = await heldHere(wanted)
      const isReadOnly = role === 'read-only'
      if (!isReadOnly && !held.mayWrite)
        throw new SkeinError('auth.denied', 'the mesh lets this device only read that space', {
          fix: 'on a full device: skein grant THIS --role full',
        })
      if (held.rules.isReadOnly !== isReadOnly) {
        await shelf.setRules(space.id, { ...held.rules, isReadOnly })
        bus.publish('space.role', { spaceId: space.id, role })
      }
      return describeSpace(space, shelf)
    },
    async select({ space: wanted, only = [], except = [] }) {
      const { space, held } = await heldHere(wanted)
      const rules = rulesOf({ ...held.rules, selection: { only, except } })
      if (!isSame(held.rules, rules)) {
        await shelf.setRules(space.id, rules)
        bus.publish('space.selected', { spaceId: space.id, only, except })
      }
      return describeSpace(space, shelf)
    },
    async localChanges({ space: wanted }) {
      const { held } = await heldHere(wanted)
      if (held.open === undefined) throw paused()
      const { changes } = held.open.folder.part
      const listed = changes.some(limits.listedEntries)
      const { spaceId, directory } = held
      return { spaceId, directory, changes: listed, isCut: changes.count > listed.length }
    },
    async revert({ space: wanted, paths = [''] }, { signal }) {
      const { held } = await heldHere(wanted)
      if (held.open === undefined) throw paused()
      for (const path of paths) checkPath(path)
      const { folder } = held.open
      const asked = folder.part.reverting.ask(paths)
      folder.rescan()
      return { spaceId: held.spaceId, reverted: await untilAborted(asked, signal) }
    },
    async entries({ space: wanted, path = '' }) {
      const { held } = await heldHere(wanted)
      checkPath(path)
      return await listEntries(held, path)
    },
  }
}

/** @throws `usage` for patterns that say nothing. */
export function rulesOf(rules: PartRules): PartRules {
  const { only, except } = rules.selection
  for (const pattern of [...only, ...except]) {
    if (/\S/.test(pattern) && !/[\r\n\0]/.test(pattern) && !/^[#!]/.test(pattern)) continue
    throw new SkeinError('usage', `${JSON.stringify(pattern)} is no pattern`, {
      fix: "one in gitignore syntax, such as '/photos/' or '*.iso'; a leading # or ! is written \\# or \\!",
    })
  }
  return rules
}

const isSame = (a: PartRules, b: PartRules): boolean => JSON.stringify(a) === JSON.stringify(b)

function checkPath(path: string): void {
  if (pathProblem(path) === undefined) return
  throw new SkeinError('usage', `${JSON.stringify(path)} is no path below the folder`, {
    fix: 'parts joined by /, from the root of the folder',
  })
}

async function listEntries(held: Joined, path: string): Promise<EntryList> {
  const { space, spaceId, rules } = held
  const directory = path === '' ? undefined : await space.lookup(path)
  if (path !== '' && directory?.kind !== 'dir')
    throw new SkeinError('not.found', `no directory of the space is called "${path}"`, {
      fix: 'skein ls SPACE lists the top of it',
    })
  const children = await space.children(directory?.nodeId ?? rootNodeId)
  const shown = children.slice(0, limits.listedEntries)
  const selection = createSelection(rules.selection)
  const entries: SpaceEntry[] = []
  for (const entry of shown) {
    const kind = kinds[entry.kind]
    if (kind === undefined) continue
    const row = await space.index.get(rowKey(entry.parent, entry.name))
    const isSelected = selection.selects(entry.path, entry.kind === 'dir')
    const isHere = row?.nodeId === entry.nodeId || (row !== undefined && entry.nodes.includes(row.nodeId))
    entries.push({ ...describe(entry, kind), state: isHere ? 'here' : isSelected ? 'coming' : 'away' })
  }
  return { spaceId, path, entries, isCut: children.length > shown.length }
}

const kinds: Readonly<Record<Entry['kind'], SpaceEntry['kind'] | undefined>> = {
  file: 'file',
  dir: 'directory',
  link: 'symlink',
  unknown: undefined,
}

function describe({ path, data }: Entry, kind: SpaceEntry['kind']): Omit<SpaceEntry, 'state'> {
  const { sizeBytes = 0, mtimeNs } = data
  const time = kind === 'file' && mtimeNs !== undefined ? Number(mtimeNs / 1_000_000n) : undefined
  return { path, kind, sizeBytes, ...(time !== undefined && { modifiedAtMs: time }) }
}
