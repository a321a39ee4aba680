/** Verbs about scrubbing: files of shared folders are read again and compared with what they should be (files/scrub.ts). */
import { SkeinError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { SpaceSetting } from '../crdt/settings.ts'
import type { PeerApi } from './api.ts'
import type { ScrubReport } from './api-spaces.ts'
import type { Shelf } from './space-shelf.ts'
import type { Folder } from '../files/folder.ts'

export interface ScrubVerbParts {
  readonly shelf: Pick<Shelf, 'joined'>
  readonly find: (wanted: string) => Promise<SpaceSetting>
  readonly settings: () => Promise<readonly SpaceSetting[]>
}

export function createScrubVerbs(parts: ScrubVerbParts): Pick<PeerApi, 'scrub' | 'scrubStatus'> {
  const { shelf, find, settings } = parts
  const open = async (wanted: string | undefined): Promise<readonly (readonly [SpaceSetting, Folder])[]> => {
    const meant = wanted === undefined ? await settings() : [await find(wanted)]
    const folders = meant.flatMap((space) => {
      const folder = shelf.joined.get(space.id)?.open?.folder
      return folder === undefined ? [] : [[space, folder] as const]
    })
    if (folders.length === 0 && wanted !== undefined)
      throw new SkeinError('not.found', 'the space does not lie on this device, or is paused', {
        fix: 'skein spaces shows where it lies; skein resume SPACE goes on',
      })
    return folders
  }
  return {
    async scrub({ space, action = 'start' }) {
      const folders = await open(space)
      for (const [, { scrub }] of folders) {
        if (action === 'start') scrub.start()
        else scrub.stop()
      }
      return folders.map(describe)
    },
    scrubStatus: async ({ space }) => (await open(space)).map(describe),
  }
}

function describe([{ id, name }, { scrub }]: readonly [SpaceSetting, Folder]): ScrubReport {
  const { remainingMs, finishedAtMs, found: foundCount, ...status } = scrub.status()
  const damaged = scrub.problems()
  return {
    spaceId: id,
    spaceName: name,
    ...status,
    foundCount,
    ...(remainingMs !== undefined && { remainingMs }),
    ...(finishedAtMs !== undefined && { finishedAtMs }),
    damaged: damaged.slice(0, limits.listedProblems),
    damagedCount: damaged.length,
  }
}
