/**
 * All of a peer that belongs to one identity: trust, mesh, documents, spaces and clipboard, wired to each other. Holds
 * no algorithm. When the identity changes the whole core is made anew.
 */
import { assert } from '../base/assert.ts'
import type { Env } from '../base/env.ts'
import type { Scope } from '../base/scope.ts'
import type { PeerApi } from './api.ts'
import type { PairingWindow } from './auth/pairing-window.ts'
import { createPairingWindow } from './auth/pairing-window.ts'
import { openDesktopClipboard } from '../media/clipboard/open-clipboard.ts'
import { openClipboardService } from './clipboard-service.ts'
import { openContents } from './contents.ts'
import { createDeviceVerbs } from './device-verbs.ts'
import { openDocuments } from './documents.ts'
import type { EventBus } from './event-bus.ts'
import { createJoinVerb } from './joining.ts'
import type { Farewell } from './leaving.ts'
import { sayFarewell } from './leaving.ts'
import { startMeshKeySync } from './mesh-key-sync.ts'
import type { Mesh } from './mesh.ts'
import { startMesh } from './mesh.ts'
import { createQuestions, startPairing } from './pairing-service.ts'
import { startMachines } from './machines.ts'
import { createStatusVerbs } from './peer-status.ts'
import { readVersion } from '../program/program.ts'
import { startRosterSync } from './roster-sync.ts'
import { createSecurityVerbs, startWitnesses } from './security-verbs.ts'
import { openSealedSpaces } from './sealed-spaces.ts'
import type { Trust, TrustParts } from './trust.ts'
import { openTrust } from './trust.ts'

export type CoreApi = Omit<PeerApi, 'leave'>

export interface Core {
  readonly api: CoreApi
  readonly scope: Scope
  /** Signs and tells that this device leaves its mesh. */
  sayFarewell(): Promise<Farewell>
}

export type CoreParts = TrustParts

/** Starts everything within the scope. @throws `port.busy`, `store.*`. */
export async function startCore(env: Env, scope: Scope, parts: CoreParts): Promise<Core> {
  const { home, settings, bus } = parts
  const { keep } = home
  const trust = await openTrust(env, scope, parts)
  const { identity, roster, audit, tokens } = trust
  const self = identity.deviceId
  const { mesh, window } = await openMesh(env, scope, parts, trust)
  followLinks(scope, mesh, bus)
  startRosterSync(env, scope, { roster, keeper: mesh.keeper, methods: mesh.methods })
  startMeshKeySync(env, scope, { ...trust, ...mesh, onChanged: () => mesh.refresh() })
  const security = { keep, identity, roster, mesh, audit, tokens }
  startWitnesses(env, scope, security)
  const directory = await home.dataDirectory('documents')
  const documents = await openDocuments(env, scope, { directory, ...trust, mesh, self, bus })
  const exchange = openContents(env, scope, { mesh, self, roster, rates: settings.rates })
  const spaces = await openSealedSpaces(env, scope, { home, self, ...trust, mesh, documents, exchange, bus })
  const surroundings = { platform: process.platform, variables: process.env }
  const clipboard = await openClipboardService(env, scope, {
    home,
    documents,
    exchange,
    identity,
    roster,
    mesh,
    bus,
    openDesktop: settings.clipboard ? () => openDesktopClipboard(env, surroundings) : undefined,
  })
  const pairing = { ...trust, window, mesh, bus, questions: createQuestions(env) }
  return {
    api: {
      events: (_params, call) => bus.subscribe(call.signal),
      ...createStatusVerbs(env, { trust, mesh, window, documents, spaces, clipboard, settings }),
      ...createDeviceVerbs(env, { ...trust, mesh }),
      ...startMachines(env, scope, { self, roster, mesh }),
      ...startPairing(env, scope, pairing),
      ...createJoinVerb(env, pairing),
      ...createSecurityVerbs(env, security),
      ...spaces.verbs,
      ...clipboard.verbs,
    },
    scope,
    async sayFarewell() {
      await trust.note('leave', self)
      return sayFarewell(env, roster, mesh)
    },
  }
}

interface OpenMesh {
  readonly mesh: Mesh
  readonly window: PairingWindow
}

/** The mesh and the pairing window: the gate asks the window, whose codes name the mesh's addresses. */
async function openMesh(
  env: Env,
  scope: Scope,
  { home, settings }: CoreParts,
  trust: Trust,
): Promise<OpenMesh> {
  const { identity, roster, meshKeys } = trust
  let mesh: Mesh | undefined
  const window = createPairingWindow(env, {
    peerId: () => identity.key.peerId,
    addresses: () => mesh?.finder.ownAddresses() ?? [],
  })
  mesh = await startMesh(env, scope, {
    keep: home.keep,
    identity,
    roster,
    settings,
    meshKeys: () =>
      [meshKeys.current(), meshKeys.previous()].flatMap((key) => (key === undefined ? [] : [key.key])),
    isPairingOpen: () => window.isOpen,
    agent: `skein/${readVersion()}`,
  })
  assert(mesh !== undefined, 'the mesh has started')
  return { mesh, window }
}

function followLinks(scope: Scope, mesh: Mesh, bus: EventBus): void {
  const { events } = mesh.keeper
  scope.own(
    events.on('link.up', ({ deviceId, address, encryption }) =>
      bus.publish('link.up', { deviceId, address, transport: encryption }),
    ),
  )
  scope.own(events.on('link.suspect', ({ deviceId }) => bus.publish('link.suspect', { deviceId })))
  scope.own(events.on('link.down', ({ deviceId, reason }) => bus.publish('link.down', { deviceId, reason })))
}
