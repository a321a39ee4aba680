/** Security: who belongs to the mesh and may do what, browser sessions, tokens, keys, and the audit log with its proof. */
import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import type { AuditEntry, AuditVerdict, Device, MintedToken, TokenInfo } from '../../peer/api.ts'
import type { SpaceStatus } from '../../peer/api-spaces.ts'
import type { ConsoleSession } from '../../peer/api-console.ts'
import { commandLine, formatAgo, formatTime } from './format.ts'
import { Action, Badge, Card, Cli, Empty, Fault, Said, useLoad } from './parts.tsx'
import { call, get } from './session.ts'
import type { PageState } from './store.ts'

export function Security({ page }: { readonly page: PageState }): JSX.Element {
  const change = page.events.find(({ name }) => /^(device|mesh)\./.test(name))
  return (
    <>
      <Roster
        change={change}
        isPairingOpen={page.status?.isPairingOpen === true}
        spaces={page.status?.spaces ?? []}
      />
      <Sessions />
      <Tokens />
      <AuditLog />
      <Card title="Key of this device">
        <p class="quiet">
          The old key is accepted for a while, so nothing breaks off; every device learns of the new one.
        </p>
        <Action
          label="Rotate the key"
          confirm="Give this device a new key?"
          cli="skein rotate"
          run={() => call('POST', '/rotate')}
        />
      </Card>
    </>
  )
}

interface RosterProps {
  readonly change: unknown
  readonly isPairingOpen: boolean
  readonly spaces: readonly SpaceStatus[]
}

function Roster({ change, isPairingOpen, spaces }: RosterProps): JSX.Element {
  const { value = [], error } = useLoad(() => get<readonly Device[]>('/devices'), change)
  return (
    <Card title="Roster">
      <p>
        {isPairingOpen
          ? '▲ The pairing window is open.'
          : '● The pairing window is closed: nobody can ask to join.'}
      </p>
      <Fault error={error} />
      <div class="scroll">
        <table>
          <thead>
            <tr>
              <th>Device</th>
              <th>May do</th>
              <th>State</th>
              <th>Last seen</th>
              <th>Key</th>
            </tr>
          </thead>
          <tbody>
            {value.map((device) => (
              <tr key={device.deviceId}>
                <td>
                  <Said text={device.name} />
                </td>
                <td>{device.role}</td>
                <td>{device.isSelf ? 'this device' : device.state}</td>
                <td>{device.lastSeenMs === undefined ? '' : formatAgo(device.lastSeenMs)}</td>
                <td>
                  <code title={device.peerId}>…{device.peerId.slice(-8)}</code>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <Cli line="skein devices" />
      <h3>What each may do</h3>
      {value.map((device) => (
        <Rights key={device.deviceId} device={device} spaces={spaces} />
      ))}
    </Card>
  )
}

const roleWords: Readonly<Record<Device['role'], string>> = {
  full: 'everything',
  limited: 'little by itself, and what is granted to it',
  storage: 'nothing but hold sealed copies for others',
  guest: 'only what is granted to it',
}

interface RightsProps {
  readonly device: Device
  readonly spaces: readonly SpaceStatus[]
}

/** The role, what it allows by itself, and what was granted on top. */
function Rights({ device, spaces }: RightsProps): JSX.Element {
  const { role, rights = [], grants = [] } = device
  if (device.state === 'revoked')
    return (
      <p class="quiet">
        <Said text={device.name} />: nothing any more; its role was {role}.
      </p>
    )
  const count = grants.length === 0 ? 'no grants' : `${grants.length} granted`
  return (
    <details>
      <summary>
        <Said text={device.name} />: {role}, {count}
      </summary>
      <p>
        A {role} device may do {roleWords[role]}. By its role:{' '}
        {rights.map((right, index) => (
          <span key={right}>
            {index > 0 && ', '}
            <code>{right}</code>
          </span>
        ))}
        {rights.length === 0 && 'nothing'}.
      </p>
      <p>
        Granted:{' '}
        {grants.length === 0
          ? 'nothing. What the role does not allow stays closed.'
          : grants.map((grant) => <Said key={grant} text={`${nameGrant(grant, spaces)} `} />)}
      </p>
    </details>
  )
}

/** `space.read:<id>` by the folder's name, where it is known. */
function nameGrant(grant: string, spaces: readonly SpaceStatus[]): string {
  const [verb = '', object] = grant.split(':')
  const space = spaces.find(({ id }) => id === object)
  return object === undefined ? verb : `${verb} on ${space === undefined ? object : `"${space.name}"`}`
}

function Sessions(): JSX.Element {
  const { value = [], error, reload } = useLoad(() => get<readonly ConsoleSession[]>('/sessions'), '')
  return (
    <Card title="Browser sessions">
      <Fault error={error} />
      <ul class="list">
        {value.map((session) => (
          <li key={session.id} class="item">
            <p>
              <Said text={nameBrowser(session.agent)} />
            </p>
            <p class="quiet">
              id {session.id}, since {formatTime(session.createdAtMs)}, last seen{' '}
              {formatAgo(session.lastSeenMs)}
            </p>
            <Action
              label="End"
              isDanger
              cli={commandLine('console', 'end', session.id)}
              run={() => call('DELETE', `/sessions/${session.id}`).then(reload)}
            />
          </li>
        ))}
      </ul>
    </Card>
  )
}

/** The two words of it that mean something to a person; the whole of it where they are not there. */
function nameBrowser(agent: string): string {
  const [, name, version] = /(Firefox|Edg|OPR|HeadlessChrome|Chrome|Version)\/(\d+)/.exec(agent) ?? []
  const [system] = /Windows|Macintosh|Android|iPhone|iPad|Linux/.exec(agent) ?? []
  return name === undefined || system === undefined
    ? agent
    : `${name === 'Version' ? 'Safari' : name} ${version} on ${system}`
}

const scopeWords = ['status:read', 'metrics:read', 'events:read', 'file:read', 'clipboard:read']

function Tokens(): JSX.Element {
  const { value = [], error, reload } = useLoad(() => get<readonly TokenInfo[]>('/tokens'), '')
  const [scope, setScope] = useState('metrics:read')
  const [made, setMade] = useState<MintedToken>()
  return (
    <Card title="Tokens">
      <Fault error={error} />
      {value.length === 0 && (
        <Empty title="No tokens">
          <p>
            Programs such as Prometheus show one instead of a session. It does one thing, and ends by itself.
          </p>
        </Empty>
      )}
      <ul class="list">
        {value.map((token) => (
          <li key={token.jti} class="item">
            <p>
              <Badge mood={token.state === 'valid' ? 'good' : 'off'} word={token.state} />{' '}
              <Said text={token.scopes.join(' ')} />{' '}
              <span class="quiet">until {formatTime(token.expiresAtMs)}</span>
            </p>
            {token.state === 'valid' && (
              <Action
                label="Make void"
                isDanger
                cli={commandLine('token', 'revoke', token.jti)}
                run={() => call('DELETE', `/tokens/${token.jti}`).then(reload)}
              />
            )}
          </li>
        ))}
      </ul>
      <label>
        What it may do
        <select value={scope} onChange={(event) => setScope(event.currentTarget.value)}>
          {scopeWords.map((word) => (
            <option key={word}>{word}</option>
          ))}
        </select>
      </label>
      <Action
        label="Make a token"
        cli={commandLine('token', 'mint', scope)}
        run={() =>
          call<MintedToken>('POST', '/tokens', { scopes: [scope] }).then(
            (token) => (setMade(token), reload()),
          )
        }
      />
      {made !== undefined && (
        <div class="ask">
          <p>It is shown this once, good until {formatTime(made.expiresAtMs)}:</p>
          <pre class="lines">{made.token}</pre>
        </div>
      )}
    </Card>
  )
}

function AuditLog(): JSX.Element {
  const {
    value = [],
    error,
    reload,
  } = useLoad(() => get<readonly AuditEntry[]>('/audit', { limit: '100' }), '')
  const [verdict, setVerdict] = useState<AuditVerdict>()
  return (
    <Card title="Audit log">
      <Action
        label="Check the chain"
        cli="skein audit verify"
        run={() => get<AuditVerdict>('/audit/verdict').then((found) => (setVerdict(found), reload()))}
      />
      {verdict !== undefined && (
        <p role="status">
          {verdict.ok ? (
            `● Whole: ${verdict.entryCount} entries, each sealed by the next, and no other device remembers otherwise.`
          ) : (
            <>
              ▲ Broken at entry {verdict.badSequence ?? '?'}: <Said text={verdict.reason ?? ''} />
            </>
          )}
        </p>
      )}
      <Fault error={error} />
      <ol class="log">
        {value.toReversed().map((entry) => (
          <li key={entry.sequence}>
            <time>{formatTime(entry.atMs)}</time> <span class="quiet">#{entry.sequence}</span>{' '}
            <strong>{entry.action}</strong>{' '}
            {Object.entries(entry.details ?? {}).map(([key, field]) => (
              <span key={key} class="field">
                <span class="quiet">{key}</span> <Said text={String(field)} />
              </span>
            ))}{' '}
            <code class="quiet">{entry.hash.slice(0, 12)}</code>
          </li>
        ))}
      </ol>
      <Cli line="skein audit" />
    </Card>
  )
}
