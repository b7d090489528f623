// Ask the browser for a security key or passkey. A form with data-webauthn="create" or "get" sends what the key says in
// its field "credential"; the server's question stands in the page as JSON, or at the form's data-question.
"use strict";

const bytes = (text) => {
  const base64 = text.replaceAll("-", "+").replaceAll("_", "/");
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
};
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

const optionsFor = async (form) => {
  if (!form.dataset.question) return JSON.parse(document.getElementById("webauthn-options").textContent);
  const answered = await fetch(form.dataset.question, { headers: { "X-Requested-With": "XMLHttpRequest" } });
  return answered.json();
};
const question = async (form) => {
  const options = await optionsFor(form);
  const { publicKey } = options.creation_options || options.request_options;
  publicKey.challenge = bytes(publicKey.challenge);
  if (publicKey.user) publicKey.user.id = bytes(publicKey.user.id);
  for (const name of ["excludeCredentials", "allowCredentials"]) {
    for (const credential of publicKey[name] || []) credential.id = bytes(credential.id);
  }
  // A passkey must be found without a name, and must know its owner: the server refuses it otherwise.
  if (form.elements.passwordless?.checked) {
    Object.assign(publicKey.authenticatorSelection, {
      residentKey: "required", requireResidentKey: true, userVerification: "required",
    });
  }
  return { publicKey };
};

const answer = (credential) => {
  const said = credential.response;
  const response = { clientDataJSON: text(said.clientDataJSON) };
  for (const name of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (said[name]) response[name] = text(said[name]);
  }
  if (said.getTransports) response.transports = said.getTransports();
  return {
    id: credential.id,
    rawId: text(credential.rawId),
    type: credential.type,
    authenticatorAttachment: credential.authenticatorAttachment,
    clientExtensionResults: credential.getClientExtensionResults(),
    response,
  };
};

for (const form of document.querySelectorAll("form[data-webauthn]")) {
  const problem = form.querySelector("[role=alert]");
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    // site.js would lock the button of a form that is being sent; this one is sent later, or tried again.
    event.stopPropagation();
    problem.hidden = true;
    try {
      const credential = await navigator.credentials[form.dataset.webauthn](await question(form));
      form.elements.credential.value = JSON.stringify(answer(credential));
    } catch {
      problem.textContent = form.dataset.failed;
      problem.hidden = false;
      return;
    }
    form.submit();
  });
}
