/** The routes of verbs about shared folders and their files; part of the table in routes.ts. */
import type { RouteOf } from './route.ts'
import { text, needed, integer, flag, texts, spaceRole } from './route.ts'

type SpaceVerb =
  | 'share'
  | 'join'
  | 'spaceRole'
  | 'select'
  | 'localChanges'
  | 'revert'
  | 'entries'
  | 'unshare'
  | 'spaces'
  | 'sync'
  | 'syncProgress'
  | 'syncOnce'
  | 'store'
  | 'hold'
  | 'held'
  | 'pause'
  | 'resume'
  | 'deletions'
  | 'scrub'
  | 'scrubStatus'
  | 'conflicts'
  | 'conflictShow'
  | 'conflictPick'
  | 'conflictMerge'
  | 'versions'
  | 'restore'
  | 'history'
  | 'ignore'
  | 'ignoreCheck'

export const spaceRoutes: { readonly [V in SpaceVerb]: RouteOf<V> } = {
  share: {
    method: 'POST',
    path: '/spaces',
    summary: 'share a directory',
    cli: 'skein share DIR',
    fields: { directory: needed, name: text },
  },
  join: {
    method: 'POST',
    path: '/spaces/{space}/join',
    summary: 'hold a shared folder here',
    cli: 'skein join SPACE DIR',
    fields: { space: needed, directory: needed, role: spaceRole, only: texts, except: texts },
  },
  spaceRole: {
    method: 'PATCH',
    path: '/spaces/{space}',
    summary: 'receive only here, or take full part',
    cli: 'skein role SPACE --ROLE',
    fields: { space: needed, role: { ...spaceRole, isRequired: true } },
  },
  select: {
    method: 'POST',
    path: '/spaces/{space}/selection',
    summary: 'which paths of it this device keeps; without patterns all',
    cli: 'skein select SPACE --only PATTERN --except PATTERN',
    fields: { space: needed, only: texts, except: texts },
  },
  localChanges: {
    method: 'GET',
    path: '/spaces/{space}/changes',
    summary: 'what stands otherwise here and is not sent',
    cli: 'skein revert SPACE --list',
    fields: { space: needed },
  },
  revert: {
    method: 'POST',
    path: '/spaces/{space}/revert',
    summary: 'take back what is not sent; its bytes go to versions',
    cli: 'skein revert SPACE PATHS',
    fields: { space: needed, paths: texts },
  },
  entries: {
    method: 'GET',
    path: '/spaces/{space}/entries',
    summary: 'what a directory of it holds, here or not',
    cli: 'skein ls SPACE PATH',
    fields: { space: needed, path: text },
  },
  unshare: {
    method: 'DELETE',
    path: '/spaces/{space}',
    summary: 'hold a folder here no longer; the files stay',
    cli: 'skein unshare SPACE',
    fields: { space: needed },
  },
  spaces: { method: 'GET', path: '/spaces', summary: 'shared folders', cli: 'skein spaces', fields: {} },
  sync: {
    method: 'POST',
    path: '/sync',
    summary: 'wait until all is in sync',
    cli: 'skein sync',
    fields: { space: text, timeoutMs: integer },
  },
  syncOnce: {
    method: 'POST',
    path: '/spaces/{space}/sync',
    summary: 'sync a paused folder once; reports until it is done',
    cli: 'skein sync SPACE --once',
    fields: {
      space: needed,
      directory: text,
      direction: { type: 'text', oneOf: ['pull', 'push'] },
      timeoutMs: integer,
    },
    isStream: true,
  },
  syncProgress: {
    method: 'GET',
    path: '/sync',
    summary: 'reports until all is in sync',
    cli: 'skein sync --wait',
    fields: { space: text, timeoutMs: integer },
    isStream: true,
  },
  store: {
    method: 'POST',
    path: '/spaces/{space}/stores',
    summary: 'let a storage device hold a space sealed, or no more',
    cli: 'skein store SPACE --on DEVICE',
    fields: { space: needed, device: needed, isStopped: flag },
  },
  hold: {
    method: 'POST',
    path: '/hold',
    summary: 'how much this storage device holds for others',
    cli: 'skein hold --quota SIZE',
    fields: { quotaBytes: integer, isStopped: flag },
  },
  held: {
    method: 'GET',
    path: '/hold',
    summary: 'what this storage device holds sealed',
    cli: 'skein hold',
    fields: {},
  },
  pause: {
    method: 'POST',
    path: '/pause',
    summary: 'stop syncing',
    cli: 'skein pause SPACE',
    fields: { space: text },
  },
  resume: {
    method: 'POST',
    path: '/resume',
    summary: 'sync again',
    cli: 'skein resume SPACE',
    fields: { space: text },
  },
  deletions: {
    method: 'POST',
    path: '/spaces/{space}/deletions',
    summary: 'let held deletions happen, or undo them',
    cli: 'skein deletions SPACE --VERDICT',
    fields: { space: needed, verdict: { type: 'text', isRequired: true, oneOf: ['allow', 'undo'] } },
  },
  scrub: {
    method: 'POST',
    path: '/scrub',
    summary: 'read files again and compare them with what they should be',
    cli: 'skein scrub SPACE',
    fields: { space: text, action: { type: 'text', oneOf: ['start', 'stop'] } },
  },
  scrubStatus: {
    method: 'GET',
    path: '/scrub',
    summary: 'how far that is, and what is damaged',
    cli: 'skein scrub SPACE --status',
    fields: { space: text },
  },
  conflicts: {
    method: 'GET',
    path: '/conflicts',
    summary: 'versions that stand side by side',
    cli: 'skein conflicts',
    fields: { space: text },
  },
  conflictShow: {
    method: 'GET',
    path: '/conflicts/detail',
    summary: 'one conflict with its differences',
    cli: 'skein conflicts show PATH',
    fields: { path: needed },
  },
  conflictPick: {
    method: 'POST',
    path: '/conflicts/pick',
    summary: 'resolve a conflict by choice',
    cli: 'skein conflicts pick PATH --CHOICE',
    fields: {
      path: needed,
      choice: { type: 'text', isRequired: true, oneOf: ['mine', 'theirs', 'both', 'device'] },
      device: text,
    },
  },
  conflictMerge: {
    method: 'POST',
    path: '/conflicts/merge',
    summary: 'resolve a conflict by a merged file, or write a draft of it',
    cli: 'skein conflicts merge PATH',
    fields: { path: needed, result: text },
  },
  versions: {
    method: 'GET',
    path: '/versions',
    summary: 'former contents of a file',
    cli: 'skein versions PATH',
    fields: { path: needed, isHereOnly: flag },
  },
  restore: {
    method: 'POST',
    path: '/restore',
    summary: 'bring a former content back',
    cli: 'skein restore PATH',
    fields: { path: needed, version: text, to: text, atMs: integer },
  },
  history: {
    method: 'GET',
    path: '/history',
    summary: 'what happened to a file',
    cli: 'skein log PATH',
    fields: { path: needed },
  },
  ignore: {
    method: 'POST',
    path: '/spaces/{space}/ignore',
    summary: 'add and remove ignore rules; without either it only lists them',
    cli: 'skein ignore SPACE',
    fields: { space: needed, add: texts, remove: texts },
  },
  ignoreCheck: {
    method: 'GET',
    path: '/ignore/check',
    summary: 'whether a path is ignored, and why',
    cli: 'skein ignore --check PATH',
    fields: { path: needed },
  },
}
