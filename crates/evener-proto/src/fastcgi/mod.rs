//! FastCGI 1.0 as a responder's client, and the CGI head inside it.
