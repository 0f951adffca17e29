"""RabbitMQ carries the messages, a backend knows their states: durable queues, one a lane, over AMQP 0-9-1."""
