// Shows the document that the page names, in whichever viewer the page has loaded.
const place = document.getElementById("docs");

function show(description) {
  if (window.Redoc) {
    window.Redoc.init(description, {}, place);
    return;
  }
  window.SwaggerUIBundle({
    domNode: place,
    // "Try it out" calls the server that this page is from, whatever the public address is: no
    // other origin has to be allowed, neither by the page's policy nor by CORS.
    spec: { ...description, servers: [] },
    deepLinking: true,
  });
}

fetch(place.dataset.document)
  .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(`status ${answer.status}`))))
  .then(show)
  .catch((error) => {
    place.textContent = `The document could not be loaded: ${error.message}.`;
  });
