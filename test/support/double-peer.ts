/**
 * A peer without a mesh behind it, for tests of the program around the peer: it answers every verb from memory and
 * keeps what it was told in the home's keep. Run as a script it is a background process like the real one.
 *
 *   DOUBLE_FAULT: what goes wrong: start-error, start-throw, crash, hang-on-stop, hang-on-status
 */
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { sleep } from '../../src/base/clock.ts'
import { createConsole } from '../../src/console/console.ts'
import type { Env } from '../../src/base/env.ts'
import { SkeinError } from '../../src/base/errors.ts'
import type { DeviceId, MeshId, PeerId, SpaceId } from '../../src/base/ids.ts'
import type { ApiCall, Device, PeerApi, SpaceStatus } from '../../src/peer/api.ts'
import { createDoubleClipboard, doubleClipState } from './double-clipboard.ts'
import { createDoubleFiles } from './double-files.ts'
import { hostileName } from './hostile-name.ts'
import type { PairEvent } from '../../src/peer/api-pairing.ts'
import type { Home } from '../../src/peer/home.ts'
import { resolveHomePath } from '../../src/program/home-path.ts'
import type { HostedPeer } from '../../src/peer/peer-process.ts'
import { runPeerProcess } from '../../src/peer/peer-process.ts'
import type { Settings } from '../../src/peer/settings.ts'
import { settingsFromOptions } from '../../src/peer/settings.ts'

// because: fixed ids of the right form
const deviceId = '7zzzzzzzzzzzzzzzzzzzzzzzzz' as DeviceId
const peerId = '12D3KooWAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' as PeerId
const mesh = 'ab'.repeat(32) as MeshId
const spaceId = '0000000000000000000000000s' as SpaceId

export async function createDoublePeer(env: Env, home: Home, settings: Settings): Promise<HostedPeer> {
  const fault = process.env['DOUBLE_FAULT']
  if (fault === 'start-error')
    throw new SkeinError('port.busy', 'port 4001 is in use', { fix: 'skein up --listen 0.0.0.0:0' })
  if (fault === 'start-throw') throw new TypeError('undefined is not a function')
  if (fault === 'crash') {
    env.clock.setTimer(200, () => {
      throw new Error('a broken assumption')
    })
  }
  let name = new TextDecoder().decode(await home.keep.read('name')) || settings.name
  await home.keep.write('key', new Uint8Array(32).fill(7), { secret: true })
  const spaces: SpaceStatus[] = []
  const requests = new Map<string, (accept: boolean) => void>()
  const self = (): Device => ({
    deviceId,
    name,
    kind: 'desktop',
    peerId,
    role: 'full',
    isSelf: true,
    state: 'self',
  })
  const api: PeerApi = {
    status: async (_params, call) => {
      if (fault === 'hang-on-status') await forever(call)
      return {
        deviceId,
        name,
        kind: 'desktop',
        peerId,
        role: 'full',
        mesh,
        addresses: ['/ip4/127.0.0.1/tcp/4001'],
        links: [
          {
            deviceId,
            name: hostileName,
            state: 'up',
            rttMs: 0.42,
            transport: 'tcp/noise',
            address: '/ip4/127.0.0.1/tcp/4002',
          },
        ],
        spaces,
        clipboard: doubleClipState,
        problems: [],
        isPairingOpen: false,
      }
    },
    machines: () => Promise.resolve([]),
    devices: () =>
      Promise.resolve([self(), { ...self(), name: hostileName, isSelf: false, state: 'down' as const }]),
    async *pair(_params, call) {
      yield {
        kind: 'opened',
        shortCode: '7-ABCD-EFGH',
        longCode: 'skein:LONG',
        expiresAtMs: env.clock.nowMs() + 120_000,
      }
      if (fault === 'pair-nobody') await forever(call)
      const answer = Promise.withResolvers<boolean>()
      requests.set('r1', answer.resolve)
      yield {
        kind: 'confirm',
        requestId: 'r1',
        name: hostileName,
        deviceKind: 'phone',
        peerId,
        role: 'full',
        address: '10.0.0.9',
      }
      const accepted = await answer.promise
      const after: PairEvent[] = accepted
        ? [
            { kind: 'joined', requestId: 'r1', deviceId, name: hostileName },
            { kind: 'closed', reason: 'joined' },
          ]
        : [{ kind: 'closed', reason: 'cancelled' }]
      yield* after
    },
    pairConfirm: ({ requestId, accept }) => {
      requests.get(requestId)?.(accept)
      return Promise.resolve({})
    },
    async *pairJoin({ code }) {
      yield { kind: 'searching' }
      if (code !== '7-ABCD-EFGH')
        throw new SkeinError('pair.failed', 'the code is wrong', { fix: 'ask for a new one' })
      yield { kind: 'joined', mesh, name: 'host', deviceCount: 2 }
    },
    revoke: ({ device }) => {
      if (device !== 'old-phone') throw new SkeinError('peer.unknown', `no device is called "${device}"`)
      return Promise.resolve({ ...self(), name: device, state: 'revoked' as const })
    },
    rename: async ({ name: wanted }) => {
      name = wanted
      await home.keep.write('name', new TextEncoder().encode(name))
      return self()
    },
    leave: () => Promise.resolve({ wasMember: true, othersCount: 0, toldCount: 0, name, deviceId, peerId }),
    rotate: () => Promise.resolve({ peerId, overlapUntilMs: env.clock.nowMs() + 86_400_000 }),
    async *events(_params, call) {
      for (let count = 0; ; count++) {
        yield { name: 'link.up', atMs: env.clock.nowMs(), data: { count, name: hostileName } }
        await sleep(env.clock, 5, call.signal)
      }
    },
    tokenMint: ({ scopes }) =>
      Promise.resolve({
        token: 'header.body.signature',
        jti: 'j1',
        expiresAtMs: env.clock.nowMs() + 1000,
        scopes,
      }),
    tokenList: () => Promise.resolve([]),
    tokenRevoke: () => Promise.resolve({}),
    tokenCheck: () => Promise.resolve({ jti: 'j1' }),
    audit: () =>
      Promise.resolve([{ sequence: 0, atMs: 0, action: 'roster.created', actor: deviceId, hash: '00' }]),
    auditVerify: () => Promise.resolve({ ok: false, entryCount: 3, badSequence: 2, reason: 'hash differs' }),
    doctor: () => Promise.resolve([{ name: 'network', ok: true }]),
    share: ({ directory, name: given }) => {
      const space: SpaceStatus = {
        id: spaceId,
        name: given ?? 'shared',
        directory,
        state: 'in-sync',
        fileCount: 3,
        sizeBytes: 10,
        conflictCount: 0,
        pendingCount: 0,
      }
      spaces.push(space)
      return Promise.resolve(space)
    },
    join: ({ space }) => Promise.reject(new SkeinError('not.found', `no space is called "${space}"`)),
    store: () => Promise.reject(new SkeinError('not.found', 'no such space')),
    spaceKey: () => Promise.reject(new SkeinError('not.found', 'no such space')),
    recover: () => Promise.reject(new SkeinError('usage', 'not a recovery code')),
    hold: () => Promise.resolve({ isHolding: false, usedBytes: 0, vaults: [] }),
    held: () => Promise.resolve({ isHolding: false, usedBytes: 0, vaults: [] }),
    unshare: () => Promise.reject(new SkeinError('not.found', 'no such space')),
    spaces: () => Promise.resolve(spaces),
    sync: () => Promise.resolve({ isInSync: spaces.length > 0, spaces }),
    ...createDoubleFiles(() => spaces),
    ...createDoubleClipboard(() => ({ deviceId, deviceName: name })),
  }
  return {
    api,
    [Symbol.asyncDispose]: () =>
      fault === 'hang-on-stop' ? new Promise(() => undefined) : Promise.resolve(),
  }
}

const forever = (call: ApiCall): Promise<never> =>
  new Promise((_resolve, reject) =>
    call.signal.addEventListener('abort', () => reject(new SkeinError('cancelled', 'gone'))),
  )

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const { values } = parseArgs({
    options: {
      home: { type: 'string' },
      name: { type: 'string' },
      kind: { type: 'string' },
      listen: { type: 'string', multiple: true },
      discovery: { type: 'boolean' },
      interface: { type: 'string', multiple: true },
      'log-level': { type: 'string' },
      console: { type: 'boolean' },
      clipboard: { type: 'boolean' },
      'console-port': { type: 'string' },
    },
    allowNegative: true,
  })
  await runPeerProcess(
    { home: resolveHomePath(values.home), settings: settingsFromOptions(values) },
    createDoublePeer,
    createConsole,
  )
}
