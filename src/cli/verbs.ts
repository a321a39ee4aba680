/**
 * Every verb with its one line of help, and how to load it. A command's code is loaded only when it is called, so
 * that the number of verbs costs a start nothing.
 */
import type { Command } from './command.ts'

export interface VerbEntry {
  readonly summary: string
  readonly load: () => Promise<Command>
}

export const verbGroups: readonly {
  readonly title: string
  readonly verbs: Readonly<Record<string, VerbEntry>>
}[] = [
  {
    title: 'This device',
    verbs: {
      up: { summary: 'start the background peer', load: async () => (await import('./commands/up.ts')).up },
      down: { summary: 'stop it', load: async () => (await import('./commands/down.ts')).down },
      status: {
        summary: 'this device, its links and its folders',
        load: async () => (await import('./commands/status.ts')).status,
      },
      logs: {
        summary: 'what the peer wrote down',
        load: async () => (await import('./commands/logs.ts')).logs,
      },
      doctor: {
        summary: 'what is wrong, and the one fix for each',
        load: async () => (await import('./commands/doctor.ts')).doctor,
      },
      console: {
        summary: 'all of it in a browser',
        load: async () => (await import('./commands/console.ts')).webConsole,
      },
      install: {
        summary: 'write a systemd unit or launchd plist',
        load: async () => (await import('./commands/install.ts')).install,
      },
    },
  },
  {
    title: 'Devices',
    verbs: {
      pair: {
        summary: 'let a device join, or join with a code',
        load: async () => (await import('./commands/pair.ts')).pair,
      },
      devices: {
        summary: 'all devices of the mesh',
        load: async () => (await import('./commands/devices.ts')).devices,
      },
      revoke: {
        summary: 'put a device out',
        load: async () => (await import('./commands/revoke.ts')).revoke,
      },
      grant: {
        summary: 'what a device may do',
        load: async () => (await import('./commands/grant.ts')).grant,
      },
      leave: {
        summary: 'take this device out of its mesh',
        load: async () => (await import('./commands/leave.ts')).leave,
      },
      rename: {
        summary: 'give a device another name',
        load: async () => (await import('./commands/rename.ts')).rename,
      },
      rotate: {
        summary: "replace this device's key",
        load: async () => (await import('./commands/rotate.ts')).rotate,
      },
    },
  },
  {
    title: 'Folders and clipboard',
    verbs: {
      share: { summary: 'share a directory', load: async () => (await import('./commands/share.ts')).share },
      join: {
        summary: 'keep a shared folder here too',
        load: async () => (await import('./commands/join.ts')).join,
      },
      spaces: {
        summary: 'shared folders, their progress, and what waits',
        load: async () => (await import('./commands/spaces.ts')).spaces,
      },
      unshare: {
        summary: 'stop keeping a shared folder here',
        load: async () => (await import('./commands/unshare.ts')).unshare,
      },
      ls: {
        summary: 'what a shared folder holds, here or elsewhere',
        load: async () => (await import('./commands/ls.ts')).ls,
      },
      role: {
        summary: 'receive a folder only, or take full part',
        load: async () => (await import('./commands/role.ts')).role,
      },
      select: {
        summary: 'which paths of a folder to keep here',
        load: async () => (await import('./commands/select.ts')).select,
      },
      revert: {
        summary: 'take back changes that are not sent',
        load: async () => (await import('./commands/revert.ts')).revert,
      },
      store: {
        summary: 'let a storage device hold a space sealed',
        load: async () => (await import('./commands/store.ts')).store,
      },
      hold: {
        summary: 'on a storage device: what it holds for others',
        load: async () => (await import('./commands/hold.ts')).hold,
      },
      space: {
        summary: 'the recovery key of a space',
        load: async () => (await import('./commands/space.ts')).space,
      },
      recover: {
        summary: 'get a space back from a storage device',
        load: async () => (await import('./commands/recover.ts')).recover,
      },
      sync: {
        summary: 'wait until all folders are in sync',
        load: async () => (await import('./commands/sync.ts')).sync,
      },
      pull: {
        summary: 'bring a folder up to date here once',
        load: async () => (await import('./commands/once.ts')).pull,
      },
      push: {
        summary: 'send what was changed here once',
        load: async () => (await import('./commands/once.ts')).push,
      },
      pause: {
        summary: 'stop syncing a folder here for a while',
        load: async () => (await import('./commands/pause.ts')).pause,
      },
      resume: {
        summary: 'go on syncing a paused folder',
        load: async () => (await import('./commands/pause.ts')).resume,
      },
      conflicts: {
        summary: 'files with several versions, and deciding',
        load: async () => (await import('./commands/conflicts.ts')).conflicts,
      },
      versions: {
        summary: 'earlier versions of a file or directory',
        load: async () => (await import('./commands/versions.ts')).versions,
      },
      restore: {
        summary: 'bring an earlier version or a deletion back',
        load: async () => (await import('./commands/restore.ts')).restore,
      },
      log: {
        summary: 'who changed a file, when and how',
        load: async () => (await import('./commands/log.ts')).log,
      },
      ignore: {
        summary: 'what a shared folder leaves out',
        load: async () => (await import('./commands/ignore.ts')).ignore,
      },
      deletions: {
        summary: 'deletions that were held back: do or undo',
        load: async () => (await import('./commands/deletions.ts')).deletions,
      },
      scrub: {
        summary: 'read files again and find damage',
        load: async () => (await import('./commands/scrub.ts')).scrub,
      },
      clip: { summary: 'the shared clipboard', load: async () => (await import('./commands/clip.ts')).clip },
    },
  },
  {
    title: 'Looking inside',
    verbs: {
      events: {
        summary: 'what happens, as it happens',
        load: async () => (await import('./commands/events.ts')).events,
      },
      metrics: {
        summary: 'numbers in Prometheus form',
        load: async () => (await import('./commands/metrics.ts')).metrics,
      },
      token: {
        summary: 'scoped, expiring tokens',
        load: async () => (await import('./commands/token.ts')).token,
      },
      audit: {
        summary: 'the tamper-evident record of rights',
        load: async () => (await import('./commands/audit.ts')).audit,
      },
      version: {
        summary: 'the version of skein',
        load: async () => (await import('./commands/version.ts')).version,
      },
    },
  },
]

/** @returns undefined for no verb of that name. */
export function findVerb(name: string): VerbEntry | undefined {
  for (const { verbs } of verbGroups) if (Object.hasOwn(verbs, name)) return verbs[name]
  return undefined
}

export const verbNames = (): readonly string[] => verbGroups.flatMap(({ verbs }) => Object.keys(verbs))
