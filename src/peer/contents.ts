/** Contents by hash between this device and its members: one blob exchange over the bulk lane. */
import type { Env } from '../base/env.ts'
import { withLogScope } from '../base/env.ts'
import type { DeviceId } from '../base/ids.ts'
import type { Scope } from '../base/scope.ts'
import type { BlobExchange } from '../blobs/exchange.ts'
import { createBlobExchange } from '../blobs/exchange.ts'
import { blobProtocol } from '../blobs/wire.ts'
import { keepChannels } from './keep-channels.ts'
import type { Mesh } from './mesh.ts'

export function openContents(
  outer: Env,
  scope: Scope,
  parts: { readonly mesh: Mesh; readonly self: DeviceId },
): BlobExchange {
  const env = withLogScope(outer, 'contents')
  const exchange = scope.own(createBlobExchange(env))
  keepChannels(env, scope, {
    ...parts,
    protocol: blobProtocol,
    lane: 'bulk',
    attach: (deviceId, channel) => exchange.attach(deviceId, channel),
  })
  return exchange
}
