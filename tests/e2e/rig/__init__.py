"""What the tests play with: instances, servers, clients, certificates, and bounded waits."""
