/** The shared settings document: the spaces of the mesh. What a device does with a space is its own business, not here. */
import { integer, object, text, textOf } from '../base/codec.ts'
import { SkeinError } from '../base/errors.ts'
import { isDeviceId, isSpaceId, type DeviceId, type SpaceId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import type { DocHost } from './doc-host.ts'
import { openSmallDoc } from './small-doc.ts'

export const settingsDocument = 'settings'

export interface SpaceSetting {
  readonly id: SpaceId
  /** 1..64 bytes, for people; need not be unique. */
  readonly name: string
  readonly createdBy: DeviceId
  /** Wall clock of its maker, for people. */
  readonly createdAtMs: number
}

export interface Settings {
  /** By id. */
  spaces(): Promise<readonly SpaceSetting[]>
  /** Adds or renames. @throws `limit.exceeded`, `codec.invalid`. */
  putSpace(space: SpaceSetting): Promise<void>
  removeSpace(id: SpaceId): Promise<void>
  onChanged(listener: () => void): Disposable
}

const spaceShape = object({
  id: textOf(isSpaceId, 'a space id'),
  name: text(limits.nameBytes, /\S/),
  createdBy: textOf(isDeviceId, 'a device id'),
  createdAtMs: integer(),
})

export function openSettings(host: DocHost): Settings {
  const document = openSmallDoc<SpaceSetting>(host, settingsDocument, spaceShape, (space) => ({ ...space }))
  return {
    async spaces() {
      const entries = await document.entries()
      const valid = [...entries]
        .filter(([key, space]) => key === `space:${space.id}`)
        .map(([, space]) => space)
      return valid.sort((a, b) => (a.id < b.id ? -1 : 1)).slice(0, limits.spaces)
    },
    putSpace: (space) =>
      document.change((entries, write) => {
        const key = `space:${space.id}`
        if (!entries.has(key) && entries.size >= limits.spaces) {
          throw new SkeinError('limit.exceeded', `at most ${limits.spaces} spaces`, {
            fix: 'remove a space first',
          })
        }
        write.set(key, space)
      }),
    removeSpace: (id) => document.change((_entries, write) => write.delete(`space:${id}`)),
    onChanged: (listener) => document.onChanged(listener),
  }
}
