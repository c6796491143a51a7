-- Runs once, when the volume is still empty, as the superuser "postgres".
-- The application is not a superuser: it could read and write the server's files and run programs,
-- and could use the connections that are reserved for you.
\set password `cat /run/secrets/database_password`
CREATE ROLE app LOGIN PASSWORD :'password'
    CREATEDB; -- for the unit tests, which create a database of their own
CREATE DATABASE app OWNER app;
-- The superuser gets no password. It can log in only inside the container.
ALTER ROLE postgres PASSWORD NULL;
