/** Devices: the map of the mesh with each link, the list with what can be done, and pairing. */
import type { JSX } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import type { Device, LinkStatus, Machine, Status } from '../../peer/api.ts'
import { formatSize, formatSpan } from '../../base/quantities.ts'
import { commandLine, formatAgo, formatRtt } from './format.ts'
import { describeWay } from './link-way.ts'
import { MeshMap } from './mesh-map.tsx'
import { Pairing } from './pairing.tsx'
import type { Mood } from './parts.tsx'
import { Action, Badge, Card, Cli, Empty, Fault, Said, useLoad } from './parts.tsx'
import { call, get } from './session.ts'
import type { LinkRate, PageState } from './store.ts'
import { rateOf } from './store.ts'

const moods: Readonly<Record<Device['state'] | LinkStatus['state'], Mood>> = {
  self: 'good',
  up: 'good',
  connecting: 'busy',
  suspect: 'busy',
  down: 'bad',
  revoked: 'off',
}

export function Devices({ page }: { readonly page: PageState }): JSX.Element | null {
  const { status } = page
  const roster = page.events.find(({ name }) => /^(device|mesh|pair)\./.test(name))
  const { value: devices = [], error, reload } = useLoad(() => get<readonly Device[]>('/devices'), roster)
  const machines = useMachines()
  if (status === undefined) return null
  const others = devices.filter((device) => !device.isSelf)
  return (
    <>
      <Card title="The mesh">
        {status.links.length === 0 ? (
          <Empty title="This device is alone so far">
            <p>Pair a second one: run this there, and enter the code that "Pair a device" shows here.</p>
            <Cli line="skein pair CODE" />
          </Empty>
        ) : (
          <MeshMap status={status} devices={devices} />
        )}
        <SelfFacts status={status} />
      </Card>
      <Pairing />
      <Card title="All devices">
        <Fault error={error} />
        <ul class="cards">
          {devices
            .filter((device) => device.isSelf)
            .concat(others)
            .map((device) => (
              <DeviceCard
                key={device.deviceId}
                device={device}
                link={status.links.find((link) => link.deviceId === device.deviceId)}
                machine={machines.find((one) => one.deviceId === device.deviceId)}
                rate={rateOf(page.samples, device.deviceId)}
                onChange={reload}
              />
            ))}
        </ul>
      </Card>
    </>
  )
}

const SelfFacts = ({ status }: { readonly status: Status }): JSX.Element => (
  <p class="quiet">
    This device: up {formatSpan(status.uptimeMs)}, {formatSize(status.rssBytes)} of memory, process{' '}
    {status.pid}, reachable at <Said text={status.addresses.join(', ') || 'no address'} />.
  </p>
)

interface CardProps {
  readonly device: Device
  readonly link: LinkStatus | undefined
  readonly machine: Machine | undefined
  readonly rate: LinkRate | undefined
  readonly onChange: () => void
}

function DeviceCard({ device, link, machine, rate, onChange }: CardProps): JSX.Element {
  const [name, setName] = useState(device.name)
  const state = device.isSelf
    ? 'self'
    : device.state === 'revoked'
      ? 'revoked'
      : (link?.state ?? device.state)
  const id = device.deviceId
  return (
    <li class="item" data-device={id}>
      <h3>
        <Said text={device.name} /> <Badge mood={moods[state]} word={device.isSelf ? 'this device' : state} />
      </h3>
      <p class="quiet">
        {device.kind}, may do: {device.role}, id <code>{id.slice(0, 8)}</code>
      </p>
      {machine !== undefined && <MachineFacts machine={machine} />}
      {link !== undefined && state !== 'revoked' && <LinkFacts link={link} rate={rate} />}
      {state !== 'revoked' && (
        <details>
          <summary>Rename{device.isSelf ? '' : ' or revoke'}</summary>
          <label>
            New name
            <input value={name} maxLength={64} onInput={(event) => setName(event.currentTarget.value)} />
          </label>
          <Action
            label="Rename"
            cli={commandLine('rename', name, ...(device.isSelf ? [] : ['--device', id]))}
            isDisabled={name.trim() === '' || name === device.name}
            run={() => call('PATCH', `/devices/${id}`, { name }).then(onChange)}
          />
          {!device.isSelf && (
            <Action
              label="Revoke"
              isDanger
              confirm="Put this device out of the mesh for good? It loses every link at once."
              cli={commandLine('revoke', id, '--yes')}
              run={() => call('DELETE', `/devices/${id}`).then(onChange)}
            />
          )}
        </details>
      )}
    </li>
  )
}

const everyMs = 10_000

/** Asked anew while the view is open; a machine that does not answer keeps its last line until then. */
function useMachines(): readonly Machine[] {
  const [machines, setMachines] = useState<readonly Machine[]>([])
  useEffect(() => {
    const look = (): void => void get<readonly Machine[]>('/machines').then(setMachines, () => undefined)
    look()
    const timer = setInterval(look, everyMs)
    return () => clearInterval(timer)
  }, [])
  return machines
}

const MachineFacts = ({ machine }: { readonly machine: Machine }): JSX.Element => (
  <p>
    <Said text={`${machine.system} ${machine.architecture}`} />, {machine.cpuCount} cores, load{' '}
    {machine.loadPercent} %, {formatSize(machine.freeMemoryBytes)} of {formatSize(machine.memoryBytes)} memory
    free
    {machine.batteryPercent !== undefined &&
      `, battery ${machine.batteryPercent} %${machine.isCharging === true ? ', charging' : ''}`}
  </p>
)

interface LinkProps {
  readonly link: LinkStatus
  readonly rate: LinkRate | undefined
}

function LinkFacts({ link, rate }: LinkProps): JSX.Element {
  if (link.state === 'up' || link.state === 'suspect') {
    return (
      <dl class="facts">
        <dt>over</dt>
        <dd>
          {link.transport ?? 'not known'}; {describeWay(link.address)}
        </dd>
        <dt>round trip</dt>
        <dd>{link.rttMs === undefined ? 'not measured yet' : formatRtt(link.rttMs)}</dd>
        {rate !== undefined && (
          <>
            <dt>rate</dt>
            <dd>
              {formatSize(rate.receivedPerSecond)}/s in, {formatSize(rate.sentPerSecond)}/s out
            </dd>
          </>
        )}
        <dt>at</dt>
        <dd>
          <Said text={link.address ?? 'not known'} />
        </dd>
        {link.sinceMs !== undefined && (
          <>
            <dt>since</dt>
            <dd>{formatAgo(link.sinceMs)}</dd>
          </>
        )}
      </dl>
    )
  }
  return (
    <p>
      <strong>Why it is not up:</strong> <Said text={link.reason ?? 'it was not heard of yet'} />
      {link.lastSeenMs !== undefined && `; last seen ${formatAgo(link.lastSeenMs)}`}
    </p>
  )
}
