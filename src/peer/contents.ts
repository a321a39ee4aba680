/** Contents by hash between this device and its members over the bulk lane: asked for, and the small ones pushed. */
import type { Env } from '../base/env.ts'
import { withLogScope } from '../base/env.ts'
import type { DeviceId } from '../base/ids.ts'
import type { Scope } from '../base/scope.ts'
import { type BlobExchange, createBlobExchange, type ExchangeOptions } from '../blobs/exchange.ts'
import { pushProtocol } from '../blobs/push-wire.ts'
import { blobProtocol } from '../blobs/wire.ts'
import type { Roster } from './auth/roster.ts'
import { keepChannels } from './keep-channels.ts'
import type { Mesh } from './mesh.ts'
import { plainDevices } from './storage-devices.ts'

export function openContents(
  outer: Env,
  scope: Scope,
  parts: {
    readonly mesh: Mesh
    readonly self: DeviceId
    readonly roster: Roster
    readonly rates: ExchangeOptions
  },
): BlobExchange {
  const env = withLogScope(outer, 'contents')
  const exchange = scope.own(createBlobExchange(env, parts.rates))
  keepChannels(env, scope, {
    ...parts,
    protocol: blobProtocol,
    lane: 'bulk',
    wanted: plainDevices(parts.roster),
    attach: (deviceId, channel) => exchange.attach(deviceId, channel),
  })
  keepChannels(env, scope, {
    ...parts,
    protocol: pushProtocol,
    lane: 'bulk',
    wanted: plainDevices(parts.roster),
    attach: (deviceId, channel) => exchange.push.attach(deviceId, channel),
  })
  return exchange
}
