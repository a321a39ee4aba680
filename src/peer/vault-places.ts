/** Which spaces are held sealed by which storage devices: a shared document that full devices alone see. */
import { integer, object, textOf } from '../base/codec.ts'
import type { DeviceId, SpaceId } from '../base/ids.ts'
import { isDeviceId, isSpaceId } from '../base/ids.ts'
import type { DocHost } from '../crdt/doc-host.ts'
import { openSmallDoc } from '../crdt/small-doc.ts'

export interface VaultPlace {
  readonly space: SpaceId
  readonly device: DeviceId
  /** Wall clock of who decided it, for people. */
  readonly sinceMs: number
}

export interface VaultPlaces {
  list(): Promise<readonly VaultPlace[]>
  put(place: VaultPlace): Promise<void>
  remove(space: SpaceId, device: DeviceId): Promise<void>
  onChanged(listener: () => void): Disposable
}

const placeShape = object({
  space: textOf(isSpaceId, 'a space id'),
  device: textOf(isDeviceId, 'a device id'),
  sinceMs: integer(),
})

export function openVaultPlaces(host: DocHost): VaultPlaces {
  const document = openSmallDoc<VaultPlace>(host, 'vaults', placeShape, (place) => ({ ...place }))
  const keyOf = (space: SpaceId, device: DeviceId): string => `${space} ${device}`
  return {
    async list() {
      const entries = await document.entries()
      return [...entries].filter(([key, one]) => key === keyOf(one.space, one.device)).map(([, one]) => one)
    },
    put: (place) => document.change((_, write) => write.set(keyOf(place.space, place.device), place)),
    remove: (space, device) => document.change((_, write) => write.delete(keyOf(space, device))),
    onChanged: (listener) => document.onChanged(listener),
  }
}
