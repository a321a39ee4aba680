/**
 * P10: what is no record stays where it was written, on every device, and shows nowhere: that nobody failed at it and that
 * trees agree is for the other checkers.
 */
import type { SpaceDevice } from '../device.ts'
import { type Garbage, scribble } from '../scribble.ts'

export interface KnownGarbage extends Garbage {
  readonly by: SpaceDevice
  /** All devices held it at some rest. */
  readonly isEverywhere: boolean
}

export interface GarbageCheck {
  /** @returns what was written. */
  scribble(device: SpaceDevice, lots: readonly [number, number, number]): Promise<Garbage | undefined>
  /** What only this device had may have gone with its store. */
  setBack(device: SpaceDevice): void
  /** At rest. */
  check(devices: readonly SpaceDevice[]): Promise<void>
}

export function createGarbageCheck(): GarbageCheck {
  let written: readonly KnownGarbage[] = []
  return {
    async scribble(by, lots) {
      const garbage = await scribble(by, lots)
      if (garbage !== undefined) written = [...written, { ...garbage, by, isEverywhere: false }]
      return garbage
    },
    setBack(device) {
      written = written.filter((one) => one.by !== device || one.isEverywhere)
    },
    async check(devices) {
      for (const device of devices) await checkGarbage(device, written)
      written = written.map((one) => ({ ...one, isEverywhere: true }))
    },
  }
}

export async function checkGarbage(device: SpaceDevice, written: readonly KnownGarbage[]): Promise<void> {
  for (const { document, value, by } of written) {
    const held = await device.host?.read([document], (documents) =>
      documents(document).getArray<unknown>(`l:${by.deviceId}`).toArray(),
    )
    const text = JSON.stringify(value)
    if (held?.some((one) => JSON.stringify(one) === text) !== true)
      throw new Error(
        `${device.name} holds no longer what ${by.name} wrote into ${document}: ${text.slice(0, 80)}`,
      )
  }
}
