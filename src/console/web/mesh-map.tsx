/**
 * The mesh as a picture: this device and a line to each other one; in a ring where there is room, as a column on a phone.
 * The list below the picture says the same in words.
 */
import type { JSX } from 'preact'
import { printable } from '../../base/printable.ts'
import type { Device, LinkStatus, Status } from '../../peer/api.ts'
import { formatRtt } from './format.ts'

interface Point {
  readonly x: number
  readonly y: number
}

interface Layout {
  readonly name: 'ring' | 'column'
  readonly width: number
  readonly height: number
  readonly self: Point
  readonly places: readonly Point[]
}

const [nodeWidth, nodeHeight] = [160, 52]

/** One beside, two on both sides, more around. */
function ring(count: number): Layout {
  const width = 900
  if (count === 1)
    return { name: 'ring', width, height: 110, self: { x: 230, y: 55 }, places: [{ x: 670, y: 55 }] }
  const height = count === 2 ? 110 : 360
  const self = { x: width / 2, y: height / 2 }
  const places = Array.from({ length: count }, (_, index) => {
    const angle = Math.PI + (2 * Math.PI * index) / count
    return { x: self.x + Math.cos(angle) * 350, y: self.y + Math.sin(angle) * (height / 2 - 36) }
  })
  return { name: 'ring', width, height, self, places }
}

function column(count: number): Layout {
  const stepY = 84
  const places = Array.from({ length: count }, (_, index) => ({ x: 248, y: 36 + stepY * (index + 1) }))
  return { name: 'column', width: 340, height: 72 + stepY * count, self: { x: 90, y: 36 }, places }
}

/** In the column a line goes down from this device and then across. */
const lineOf = (layout: Layout, to: Point): string => {
  const { x, y } = layout.self
  return layout.name === 'ring'
    ? `M${x} ${y}L${to.x} ${to.y}`
    : `M60 ${y}V${to.y - 12}q0 12 12 12H${to.x - nodeWidth / 2}`
}

const labelPlace = (layout: Layout, to: Point): Point =>
  layout.name === 'ring'
    ? { x: (layout.self.x + to.x) / 2, y: (layout.self.y + to.y) / 2 - 8 }
    : { x: 116, y: to.y - 8 }

const short = (name: string): string => {
  const text = printable(name)
  return text.length > 18 ? `${text.slice(0, 17)}…` : text
}

interface MapProps {
  readonly status: Status
  readonly devices: readonly Device[]
}

export function MeshMap(props: MapProps): JSX.Element {
  const count = props.status.links.length
  return (
    <figure>
      <Picture {...props} layout={ring(count)} />
      <Picture {...props} layout={column(count)} />
      <figcaption class="quiet">
        Solid line: up. Dotted: not heard for a moment. Dashed: down or connecting. Every link goes straight
        from device to device: there are no relays yet, so devices that cannot reach each other have none.
      </figcaption>
    </figure>
  )
}

function Picture({ status, devices, layout }: MapProps & { readonly layout: Layout }): JSX.Element {
  const at = (index: number): Point => layout.places[index] ?? layout.self
  const noteOf = (link: LinkStatus): string => {
    const kind = devices.find((one) => one.deviceId === link.deviceId)?.kind ?? ''
    return link.state === 'up' ? (link.transport ?? kind) : kind
  }
  return (
    <svg
      viewBox={`0 0 ${layout.width} ${layout.height}`}
      class={`map ${layout.name}`}
      role="img"
      aria-label={describe(status)}
    >
      {status.links.map((link, index) => {
        const label = labelPlace(layout, at(index))
        return (
          <g key={link.deviceId} class={`link ${link.state}`}>
            <path d={lineOf(layout, at(index))} />
            <text x={label.x} y={label.y}>
              {link.state === 'up' && link.rttMs !== undefined ? formatRtt(link.rttMs) : link.state}
            </text>
          </g>
        )
      })}
      {status.links.map((link, index) => (
        <Node key={link.deviceId} place={at(index)} name={link.name} note={noteOf(link)} state={link.state} />
      ))}
      <Node place={layout.self} name={status.name} note="this device" state="self" />
    </svg>
  )
}

interface NodeProps {
  readonly place: Point
  readonly name: string
  readonly note: string
  readonly state: string
}

const Node = ({ place: { x, y }, name, note, state }: NodeProps): JSX.Element => (
  <g class={`node ${state}`}>
    <rect x={x - nodeWidth / 2} y={y - nodeHeight / 2} width={nodeWidth} height={nodeHeight} rx="10" />
    <text x={x} y={y - 4} class="name">
      {short(name)}
    </text>
    <text x={x} y={y + 15} class="note">
      {note}
    </text>
  </g>
)

function describe(status: Status): string {
  const up = status.links.filter((link) => link.state === 'up').length
  return `This device and ${status.links.length} others, ${up} of them linked`
}
