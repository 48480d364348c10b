"""The rules of HTTP/1 as data, and the page that is written from them."""
