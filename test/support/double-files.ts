/** The verbs about files of the double peer: answers from memory, with names as a hostile device would choose them. */
import { SkeinError } from '../../src/base/errors.ts'
import type { DeviceId, SpaceId } from '../../src/base/ids.ts'
import type { Conflict, ConflictSide, FileVersion, SpaceStatus } from '../../src/peer/api-spaces.ts'
import type { PeerApi } from '../../src/peer/api.ts'
import { hostileName } from './hostile-name.ts'

// because: a fixed id of the right form
const spaceId = '0000000000000000000000000s' as SpaceId
const deviceId = '7zzzzzzzzzzzzzzzzzzzzzzzzz' as DeviceId // because: as above
const path = `notes/${hostileName}.txt`

const side = (isMine: boolean): ConflictSide => ({
  path: isMine ? path : `notes/${hostileName} (conflict abc123).txt`,
  isMain: isMine,
  kind: 'file',
  sizeBytes: 12_345,
  hash: 'h'.repeat(43),
  device: hostileName,
  isMine,
  modifiedAtMs: 1_700_000_000_000,
})
const conflict: Conflict = {
  spaceId,
  spaceName: hostileName,
  directory: '/tmp/notes',
  path,
  sides: [side(true), side(false)],
}
const version: FileVersion = {
  id: '7q2m00000000',
  path,
  keptAtMs: 1_700_000_000_000,
  cause: 'replaced',
  sizeBytes: 4_096,
  device: hostileName,
  replacedBy: hostileName,
}

type FileVerbs = Pick<
  PeerApi,
  | 'syncProgress'
  | 'syncOnce'
  | 'pause'
  | 'resume'
  | 'deletions'
  | 'conflicts'
  | 'conflictShow'
  | 'conflictPick'
  | 'conflictMerge'
  | 'versions'
  | 'restore'
  | 'history'
  | 'ignore'
  | 'ignoreCheck'
  | 'spaceRole'
  | 'grant'
  | 'select'
  | 'localChanges'
  | 'revert'
  | 'entries'
  | 'scrub'
  | 'scrubStatus'
>

const scrubbed = {
  spaceId,
  spaceName: hostileName,
  state: 'idle',
  isFast: false,
  checkedFiles: 3,
  totalFiles: 3,
  checkedBytes: 10,
  totalBytes: 10,
  foundCount: 1,
  damaged: [],
  damagedCount: 0,
} as const

const localChange = { path: hostileName, change: 'edited', isDirectory: false, sizeBytes: 1 } as const

export function createDoubleFiles(spaces: () => readonly SpaceStatus[]): FileVerbs {
  const changed = (fields: Partial<SpaceStatus>): Promise<SpaceStatus> => {
    const [space] = spaces()
    return space === undefined
      ? Promise.reject(new SkeinError('not.found', 'no space'))
      : Promise.resolve({ ...space, localChangeCount: 1, ...fields })
  }
  return {
    async *syncProgress() {
      const transfer = {
        doneFiles: 1,
        totalFiles: 3,
        doneBytes: 1_000,
        totalBytes: 3_000,
        bytesPerSecond: 500,
      }
      const busy = spaces().map((space) => ({ ...space, state: 'syncing' as const, transfer }))
      yield { isInSync: false, spaces: busy }
      yield { isInSync: spaces().length > 0, spaces: spaces() }
    },
    async *syncOnce() {
      yield { isInSync: spaces().length > 0, spaces: spaces() }
    },
    pause: () => Promise.resolve(spaces().map((space) => ({ ...space, state: 'paused' as const }))),
    resume: () => Promise.resolve(spaces()),
    deletions: () => Promise.reject(new SkeinError('not.found', 'no deletions wait')),
    conflicts: () => Promise.resolve({ conflicts: [conflict], isCut: false }),
    conflictShow: () => {
      const lines = [' kept\ttab', `-${hostileName}`, '+\u001b[31mred\u202e']
      const diff = { path: conflict.sides[1]?.path ?? '', kind: 'text', isCut: true } as const
      return Promise.resolve({
        ...conflict,
        diffs: [{ ...diff, hunks: [{ oldStart: 1, newStart: 1, lines }] }],
      })
    },
    conflictPick: () =>
      Promise.resolve({ path, spaceId, kind: 'resolved' as const, paths: [path], isSettled: true }),
    conflictMerge: () =>
      Promise.resolve({
        path,
        spaceId,
        kind: 'draft' as const,
        paths: [`${path}.merge`],
        isSettled: true,
        markerCount: 2,
      }),
    scrub: () => Promise.resolve([scrubbed]),
    scrubStatus: () => Promise.resolve([scrubbed]),
    versions: () =>
      Promise.resolve({ spaceId, path, versions: [version], isCut: false, caps: { days: 30, bytes: 1e9 } }),
    restore: () =>
      Promise.resolve({
        spaceId,
        restored: [path],
        replacedCount: 1,
        problems: [],
      }),
    history: () =>
      Promise.resolve({
        spaceId,
        path,
        isThere: true,
        steps: [
          { kind: 'rename', from: hostileName, device: hostileName, path },
          { kind: 'create', device: hostileName, atMs: 0, clock: 'author', path },
        ],
      }),
    grant: ({ role }) => Promise.resolve({ deviceId, name: hostileName, role, grants: [] }),
    spaceRole: ({ role }) => changed({ role }),
    select: ({ only = [], except = [] }) => changed({ selection: { only, except } }),
    localChanges: () =>
      Promise.resolve({ spaceId, directory: hostileName, changes: [localChange], isCut: true }),
    revert: () => Promise.resolve({ spaceId, reverted: [localChange] }),
    entries: () =>
      Promise.resolve({
        spaceId,
        path: '',
        entries: [{ path: hostileName, kind: 'file', sizeBytes: 1, state: 'away' }],
        isCut: true,
      }),
    ignore: () =>
      Promise.resolve({
        spaceId,
        file: '/tmp/notes/.skeinignore',
        patterns: [{ line: 1, pattern: hostileName }],
        changed: true,
      }),
    ignoreCheck: () =>
      Promise.resolve({
        spaceId,
        path,
        isIgnored: true,
        isReserved: false,
        matched: 'notes',
        rule: { file: '/tmp/notes/.skeinignore', line: 1, pattern: hostileName },
      }),
  }
}
