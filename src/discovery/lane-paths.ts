/**
 * Where new channels of each lane start, per member, and when that has moved: bulk starts over control until there is
 * a bulk connection, and connections are replaced while the link stays up. What lasts must follow, or the connection
 * that was left cannot end.
 */
import type { DeviceId } from '../base/ids.ts'
import type { Lane } from '../base/link.ts'
import type { MemberLink } from './member-link.ts'

/** A connection, as far as others need to tell it from the next one. */
export interface LanePath {
  readonly id: string
  /** The lane it really is: bulk may have to go over control. */
  readonly lane: Lane
}

const lanes: readonly Lane[] = ['control', 'bulk']

/** @returns undefined while nothing can be opened. */
export function pathOf(link: MemberLink, lane: Lane): LanePath | undefined {
  const [line] = link.state.life === 'down' ? [] : link.linesFor(lane)
  return line === undefined ? undefined : { id: line.id, lane: line.lane }
}

export class LanePaths {
  readonly #known = new Map<DeviceId, Partial<Record<Lane, string>>>()

  /** @returns the lanes that lead elsewhere than at the last look. */
  moved(link: MemberLink): readonly Lane[] {
    const before = this.#known.get(link.deviceId) ?? {}
    const now: Partial<Record<Lane, string>> = {}
    for (const lane of lanes) {
      const path = pathOf(link, lane)
      // While there is none the last one stands: coming back on the same connection moves nothing
      const id = path?.id ?? before[lane]
      if (id !== undefined) now[lane] = id
    }
    this.#known.set(link.deviceId, now)
    return lanes.filter((lane) => now[lane] !== before[lane])
  }

  forget(deviceId: DeviceId): void {
    this.#known.delete(deviceId)
  }
}
