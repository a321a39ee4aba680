/**
 * How the `x11` package gets the bytes it reads: it says how many it wants next and is called with them. Its own way keeps
 * every packet twice and allocates for each; here the bytes go straight into the packet, and long ones into one buffer
 * that is used again. So a long packet is valid only during the call.
 */
import { SkeinError } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'

export interface XPackets {
  readonly get: (length: number, callback: (packet: Uint8Array) => void) => void
  /** @throws `limit.exceeded` for a packet that is too long, `codec.invalid` for bytes nobody waits for. */
  readonly take: (chunk: Uint8Array) => void
}

interface Wanted {
  readonly packet: Buffer
  readonly callback: (packet: Uint8Array) => void
}

const ownBytes = 4096

export function createXPackets(): XPackets {
  const wanted: Wanted[] = []
  let shared = Buffer.alloc(0)
  let received = 0
  const place = (length: number): Buffer => {
    if (length <= ownBytes) return Buffer.alloc(length)
    if (shared.byteLength < length) shared = Buffer.allocUnsafeSlow(length)
    return shared.subarray(0, length)
  }
  return {
    get(length, callback) {
      if (length > limits.displayPacketBytes) {
        throw new SkeinError('limit.exceeded', 'the display sent a packet that is too long')
      }
      wanted.push({ packet: place(length), callback })
    },
    take(chunk) {
      for (let offset = 0; offset < chunk.byteLength;) {
        const [next] = wanted
        if (next === undefined) throw new SkeinError('codec.invalid', 'the display sent more than it may')
        const { packet, callback } = next
        const part = chunk.subarray(offset, offset + packet.byteLength - received)
        packet.set(part, received)
        received += part.byteLength
        offset += part.byteLength
        if (received < packet.byteLength) continue
        received = 0
        wanted.shift()
        callback(packet)
      }
    },
  }
}
