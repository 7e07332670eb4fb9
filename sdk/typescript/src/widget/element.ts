import { begin } from '../browser/sign-in.js';
import { whenStaying } from '../browser/staying.js';
import { AuthAgentError, ConfigurationError } from '../common/errors.js';
import { icon } from './icon.js';
import { STYLE } from './style.js';

/** The element's name. */
export const TAG = 'auth-agent-signin';
const LABEL = 'Sign in with Auth Agent';
/** The attributes that options of a sign-in come from. */
const ATTRIBUTES: Record<string, string> = {
  clientId: 'client-id',
  redirectUri: 'redirect-uri',
  issuer: 'server-url',
};

/** What the button is about to ask for: the `detail` of `auth-agent-start`. */
export interface StartDetail {
  readonly issuer: string;
  readonly clientId: string;
  readonly redirectUri: string;
  readonly scope: string | undefined;
}

/** Why it did not: the `detail` of `auth-agent-error`. */
export interface ErrorDetail {
  /** The `code` of a `SignInError`, `configuration` when an attribute is missing or wrong, or `unexpected`. */
  readonly code: string;
  /** What to do, in words for the visitor. */
  readonly message: string;
}

/** The element's events; both bubble, cross shadow roots, and can be cancelled. */
export interface SignInButtonEvents {
  /** The button was pressed. Cancelled, nothing happens. */
  'auth-agent-start': CustomEvent<StartDetail>;
  /** The sign-in could not begin. Cancelled, the button does not show the message itself. */
  'auth-agent-error': CustomEvent<ErrorDetail>;
}

/**
 * `<auth-agent-signin>`. Attributes: `client-id`, `redirect-uri`, `server-url` (the issuer), `scope`,
 * `theme` (`auto`, `light`, `dark`), `label`, `disabled`. Parts for a website's own styles: `button`,
 * `icon`, `label`, `message`. Its children show until the element is defined, and without scripts.
 */
export interface SignInButtonElement extends HTMLElement {
  /** Whether it can be pressed; the attribute of that name. */
  disabled: boolean;
}

declare global {
  interface HTMLElementTagNameMap {
    'auth-agent-signin': SignInButtonElement;
  }
  interface HTMLElementEventMap extends SignInButtonEvents {}
}

/**
 * Defines the element; where there is none to define (on a server) or it is defined already, nothing
 * happens.
 *
 * @param server what `server-url` is when it is absent.
 */
export function defineSignInButton(server = ''): void {
  if (!globalThis.customElements || customElements.get(TAG)) return;

  customElements.define(
    TAG,
    class extends HTMLElement implements SignInButtonElement {
      static observedAttributes = ['label', 'disabled'];

      readonly #button = document.createElement('button');
      readonly #label = document.createElement('slot');
      readonly #message = document.createElement('p');
      /** While the browser is on its way: ends the waiting for whether it stays. */
      #pressed: (() => void) | undefined;

      constructor() {
        super();
        const [button, label, message] = [this.#button, this.#label, this.#message];
        const root = this.attachShadow({ mode: 'open', delegatesFocus: true });
        try {
          const sheet = new CSSStyleSheet();
          sheet.replaceSync(STYLE);
          root.adoptedStyleSheets = [sheet];
        } catch {
          // A browser without constructed style sheets shows a plain button, which works as well.
        }
        const text = document.createElement('span');
        const mark = icon();
        label.name = 'label';
        text.append(label);
        button.type = 'button';
        button.append(mark, text);
        // Empty and there from the start, so that what it is given is read out.
        message.setAttribute('role', 'alert');
        for (const [element, part] of Object.entries({ button, icon: mark, label: text, message })) {
          part.setAttribute('part', element);
        }
        button.addEventListener('click', () => void this.#signIn());
        root.append(button, message);
        this.#show();
      }

      get disabled(): boolean {
        return this.hasAttribute('disabled');
      }

      set disabled(disabled: boolean) {
        this.toggleAttribute('disabled', Boolean(disabled));
      }

      connectedCallback(): void {
        // Set before the element was defined, it is a property of this one, and hides that of all.
        if (!Object.hasOwn(this, 'disabled')) return;
        const { disabled } = this;
        Reflect.deleteProperty(this, 'disabled');
        this.disabled = disabled;
      }

      disconnectedCallback(): void {
        this.#release();
      }

      attributeChangedCallback(): void {
        this.#show();
      }

      override click(): void {
        this.#button.click();
      }

      #show(): void {
        this.#label.textContent = this.getAttribute('label') || LABEL;
        this.#button.disabled = this.disabled;
      }

      async #signIn(): Promise<void> {
        if (this.#pressed) return;
        this.#message.textContent = '';
        const detail: StartDetail = {
          issuer: this.getAttribute('server-url') || server,
          clientId: this.getAttribute('client-id') ?? '',
          redirectUri: this.getAttribute('redirect-uri') ?? '',
          scope: this.getAttribute('scope') || undefined,
        };
        if (!this.#tell('auth-agent-start', detail)) return;
        this.#pressed = whenStaying(() => this.#release());
        this.#button.setAttribute('aria-disabled', 'true');
        try {
          requireAttributes(detail);
          location.assign(await begin(detail));
        } catch (error) {
          this.#release();
          this.#fail(error);
        }
      }

      /** Lets it be pressed again. */
      #release(): void {
        this.#pressed?.();
        this.#pressed = undefined;
        this.#button.removeAttribute('aria-disabled');
      }

      #fail(error: unknown): void {
        let message = error instanceof Error ? error.message : String(error);
        if (error instanceof ConfigurationError) {
          message = `This sign-in button is not set up yet: ${inAttributes(message)}`;
        }
        const code = error instanceof AuthAgentError ? error.code : 'unexpected';
        if (this.#tell('auth-agent-error', { code, message })) this.#message.textContent = message;
      }

      #tell<Name extends keyof SignInButtonEvents>(
        name: Name,
        detail: SignInButtonEvents[Name]['detail'],
      ): boolean {
        const how = { detail, bubbles: true, composed: true, cancelable: true };
        return this.dispatchEvent(new CustomEvent(name, how));
      }
    },
  );
}

/** Names all attributes that are missing; what is in them is checked later. */
function requireAttributes(detail: StartDetail): void {
  const missing = Object.keys(ATTRIBUTES).filter((option) => !detail[option as keyof StartDetail]);
  if (missing.length) {
    throw new ConfigurationError(
      `<${TAG}> has no ${missing.map((option) => ATTRIBUTES[option]).join(' and no ')}.`,
    );
  }
}

/** What is said of an option, which its message begins with, said of the attribute. */
function inAttributes(message: string): string {
  return message.replace(/^\w+/, (option) => ATTRIBUTES[option] ?? option);
}
